"""Lets a cluster be without the operator: nothing waits for one that is gone.

The operator is stopped first, for it would put back what is taken away. Documents stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    ConflictError,
    NotFoundError,
    RagmeshError,
    UnavailableError,
)
from ragmesh_operator.autoscaling import Scales, Workload
from ragmesh_operator.ports import Resources
from ragmesh_operator.resources import GROUP
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.values import Key

_LOOK_SECONDS = 1.0
_QUIET_LOOKS = 5
"""An operator that is ending may finish what it began."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Stops the operator, and takes its finalizers from all resources."""

    cluster: Resources
    scales: Scales
    clock: Clock

    async def leave(self, own: Workload | None, seconds: float) -> None:
        """Return once nothing has held a resource for a while; UnavailableError when it is late."""
        late_at = self.clock.monotonic() + seconds
        quiet, why = 0, "resources are still held"
        while quiet < _QUIET_LOOKS:
            if self.clock.monotonic() >= late_at:
                raise UnavailableError(f"not done after {seconds:g} seconds: {why}")
            try:
                quiet = 0 if await self._look(own) else quiet + 1
            except RagmeshError as error:
                if not (error.kind.transient or isinstance(error, ConflictError)):
                    raise
                quiet, why = 0, error.message
            await self.clock.sleep(_LOOK_SECONDS)

    async def _look(self, own: Workload | None) -> bool:
        """Whether there was something to do."""
        stopped = own is not None and await self._stop(own)
        return await self._free() or stopped

    async def _stop(self, own: Workload) -> bool:
        try:
            scale = await self.scales.read_scale(own)
            if scale.replicas == 0:
                return False
            await self.scales.write_scale(own, scale, 0)
        except NotFoundError:
            return False
        return True

    async def _free(self) -> bool:
        try:
            bodies = await self.cluster.list(COLLECTION.plural)
        except NotFoundError:  # the cluster does not know the kind any more
            return False
        held = [body["metadata"] for body in bodies if _own(body["metadata"].get("finalizers", ()))]
        for metadata in held:
            key = Key(COLLECTION.plural, metadata["namespace"], metadata["name"])
            there = metadata["finalizers"]
            others = [one for one in there if one not in _own(there)]
            await self.cluster.write_finalizers(key, metadata["resourceVersion"], others)
        return bool(held)


def _own(finalizers: Sequence[str]) -> list[str]:
    return [one for one in finalizers if one.startswith(f"{GROUP}/")]
