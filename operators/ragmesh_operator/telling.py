"""Tells of a resource what a look came to: in its status, and as an event of what is new in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ragmesh.core.errors import ConflictError
from ragmesh_operator.ports import Occurrence, Resources
from ragmesh_operator.reporting import NOT_UNDERSTOOD, newly_stalled
from ragmesh_operator.statuses import CollectionStatus, TenantStatus
from ragmesh_operator.values import Key, Resource

StatusT = TypeVar("StatusT", CollectionStatus, TenantStatus)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells of one resource, as it was read."""

    cluster: Resources
    key: Key
    uid: str
    resource_version: str

    @classmethod
    def of(cls, cluster: Resources, wanted: Resource[Any, Any]) -> Teller:
        """Of a resource that is understood."""
        return cls(cluster, wanted.key, wanted.uid, wanted.resource_version)

    @classmethod
    def of_body(cls, cluster: Resources, key: Key, body: Mapping[str, Any]) -> Teller:
        """Of one that need not be."""
        metadata = body["metadata"]
        return cls(cluster, key, metadata["uid"], metadata["resourceVersion"])

    async def tell(self, known: StatusT, status: StatusT) -> None:
        """Write a status that is new; that it is stalled is an event, too, once a reason."""
        if not await self._write(known, status):
            return
        stalled = newly_stalled(known.conditions, status.conditions)
        if stalled is not None:
            await self._warn(stalled.reason, stalled.message)

    async def tell_mistakes(self, known: StatusT, status: StatusT, mistakes: str) -> None:
        """Write why nothing is done for it; it is an event, too, once a generation."""
        if await self._write(known, status):
            await self._warn(NOT_UNDERSTOOD, mistakes)

    async def _write(self, known: StatusT, status: StatusT) -> bool:
        if status == known:
            return False
        try:
            await self.cluster.write_status(self.key, self.resource_version, status)
        except ConflictError:
            _log.debug("a status is written at the next look", extra={"name": self.key.name})
            return False
        return True

    async def _warn(self, reason: str, message: str) -> None:
        told = Occurrence(reason, message, is_warning=True)
        await self.cluster.tell(self.key, self.uid, told)
