"""Lets resources go whose clean-up takes too long, whatever their looks wait for.

A look may wait for others that a silent mesh holds up, or end in a refusal that is never over.
Here nothing but the cluster is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.values import Key

_LOOK_SECONDS = 5.0
_TRY_SECONDS = 30.0
"""How long an operator that has just started tries to clean up what is overdue already."""
_log = logging.getLogger(__name__)


class Releaser(Protocol):
    """What takes finalizers away; satisfied by `CollectionReconciler`."""

    async def give_up_overdue(self, key: Key) -> bool:
        """Let the resource go without a clean-up, if it has waited for one for long enough.

        Whether it still waited for one.
        """


@dataclass(slots=True)
class Endings:
    """Remembers whose end somebody has asked for."""

    releaser: Releaser
    clock: Clock
    _heard: dict[Key, float] = field(default_factory=dict)
    """Since when this process knows of it."""

    def told(self, key: Key, body: Mapping[str, Any], is_gone: bool) -> None:
        """Something happened to a resource."""
        if key.plural != COLLECTION.plural:
            return
        if is_gone or "deletionTimestamp" not in body["metadata"]:
            self._heard.pop(key, None)
        else:
            self._heard.setdefault(key, self.clock.monotonic())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.clock.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        since = self.clock.monotonic() - _TRY_SECONDS
        for key, heard in [one for one in self._heard.items() if one[1] <= since]:
            try:
                waits = await self.releaser.give_up_overdue(key)
            except RagmeshError as error:
                facts = {"resource": f"{key.namespace}/{key.name}", "reason": error.reason}
                _log.warning("a resource could not be let go", extra=facts)
                continue
            # Its end may not have been told, or others hold it: it is not read for ever. What was
            # told of another of its name meanwhile stays.
            if not waits and self._heard.get(key) == heard:
                del self._heard[key]
