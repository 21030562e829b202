"""How long a body that comes piece by piece is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from ragmesh.core.errors import BodyTooSlowError

SLOWEST_BYTES_A_SECOND = 1_024
"""Of a body as a whole: who sends a byte now and then holds its place no longer than this."""
Piece = TypeVar("Piece")


@dataclass(slots=True)
class Patience:
    """The time that one body has left. Only waiting counts, not what is done with its pieces."""

    pause_seconds: float
    """How long each piece may take."""
    taken: int = 0
    """Bytes that have come."""
    _waited: float = 0.0

    async def wait(self, piece: Awaitable[Piece]) -> Piece:
        """The next piece; BodyTooSlowError when it, or all of them together, take too long."""
        earned = self.pause_seconds + self.taken / SLOWEST_BYTES_A_SECOND
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(min(self.pause_seconds, earned - self._waited)) as timer:
                return await piece
        except TimeoutError:
            if not timer.expired():
                raise
            raise BodyTooSlowError(
                f"the body has to come with pauses below {self.pause_seconds:g} s and at "
                f"{SLOWEST_BYTES_A_SECOND} bytes a second on the whole"
            ) from None
        finally:
            self._waited += loop.time() - began
