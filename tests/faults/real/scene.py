"""What a fault has to do with: the mesh, the users of this seed, and its luck."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.faults.real.mesh import RealMesh
from tests.faults.real.users import Users

_MOST_CALLS = 6
_MOST_SECONDS = 3.0
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Scene:
    """One seed under way."""

    mesh: RealMesh
    users: Sequence[Users]
    chance: Random

    async def meanwhile(self, seconds: float = _MOST_SECONDS) -> None:
        """Let some changes end, or time pass in which none can."""
        wanted = self._calls + self.chance.randrange(1, _MOST_CALLS)
        late = time.monotonic() + self.chance.uniform(0.2, seconds)
        while self._calls < wanted and time.monotonic() < late:  # noqa: ASYNC110 - no event
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def _calls(self) -> int:
        return sum(len(users.calls) for users in self.users)
