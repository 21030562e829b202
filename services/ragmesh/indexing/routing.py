"""Where questions go: one index version by weight, sticky by affinity, read from memory."""

from __future__ import annotations

from collections import OrderedDict

from ragmesh.core.clock import Clock
from ragmesh.core.routing import picked
from ragmesh.indexing.rows import CollectionRow, ServingVersion

_MOST_COLLECTIONS = 10_000


def pick(versions: tuple[ServingVersion, ...], affinity: str) -> ServingVersion:
    """The version for this affinity: always the same while the weights are; "" = any."""
    return versions[picked([version.weight for version in versions], affinity)]


class CollectionTable:
    """Collections by name for a short time, so that a question costs no query.

    This process's own changes are seen at once; those of another after `fresh_seconds`.
    """

    def __init__(self, clock: Clock, *, fresh_seconds: float) -> None:
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._rows: OrderedDict[tuple[str, str], tuple[float, CollectionRow]] = OrderedDict()
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Grows with every change; what was read before one may not be kept after it."""
        return self._epoch

    def get(self, tenant_uid: str, name: str) -> CollectionRow | None:
        """The collection, if it was read a short time ago."""
        kept = self._rows.get((tenant_uid, name))
        if kept is None or self._clock.monotonic() - kept[0] > self._fresh_seconds:
            return None
        return kept[1]

    def keep(self, row: CollectionRow, *, read_at_epoch: int) -> None:
        """Remember a collection that was read while the table was at this epoch."""
        if read_at_epoch != self._epoch:
            return
        key = (row.tenant_uid, row.name)
        self._rows[key] = (self._clock.monotonic(), row)
        self._rows.move_to_end(key)
        if len(self._rows) > _MOST_COLLECTIONS:
            self._rows.popitem(last=False)

    def forget(self, tenant_uid: str, name: str) -> None:
        """The collection has changed."""
        self._epoch += 1
        self._rows.pop((tenant_uid, name), None)

    def forget_tenant(self, tenant_uid: str) -> None:
        """Every collection of the tenant is gone."""
        self._epoch += 1
        for key in [key for key in self._rows if key[0] == tenant_uid]:
            del self._rows[key]
