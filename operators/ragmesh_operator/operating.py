"""The operator as a whole: what is told goes to rounds, and rounds look."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ragmesh.chassis.lifecycle import Tasks
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidError, RagmeshError
from ragmesh_operator.autoscaling import NONE, Autoscaler
from ragmesh_operator.ending import Endings
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.reconciling import CollectionReconciler
from ragmesh_operator.reporting import Scaling, Verdict
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.tenants import TenantReconciler
from ragmesh_operator.values import CollectionResource, Key, Look
from ragmesh_operator.working import Pace, Rounds

_SLEPT = 3.0
"""So many times as long as it wanted to pause, a process did not run: another may have since."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sides:
    """What the operator stands between, and the time that it goes by."""

    mesh: Mesh
    cluster: Resources
    clock: Clock
    scaling_seconds: float = 5.0


class NoScaler:
    """Scales nothing: nobody has said where the indexers are."""

    def shown(self, wanted: CollectionResource) -> Scaling:
        """That it does not."""
        if wanted.spec.autoscaling.provider == NONE:
            return Scaling()
        sentence = "the operator is not told which workload to scale"
        return Scaling(verdict=Verdict("False", "WorkloadUnknown", sentence))


@dataclass(slots=True)
class Operating:
    """Hears of resources and has them looked at."""

    collections: CollectionReconciler
    tenants: TenantReconciler
    rounds: Rounds
    scaler: Autoscaler | None = None
    endings: Endings = field(init=False)
    _gone: dict[Key, CollectionResource] = field(default_factory=dict)
    """Resources that are gone and whose collections are still kept."""
    _known: dict[Key, CollectionResource] = field(default_factory=dict)
    """Resources as they were last told: what is wanted of the indexers."""
    _has_listed: bool = False
    """Whether none that was there before is unknown."""

    def __post_init__(self) -> None:
        self.endings = Endings(self.collections, self.collections.clock)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, sides: Sides, pace: Pace, tasks: Tasks, scaler: Autoscaler | None
    ) -> AsyncIterator[Operating]:
        """The operator at work."""
        mesh, cluster, clock = sides.mesh, sides.cluster, sides.clock
        collections = CollectionReconciler(mesh, cluster, scaler or NoScaler(), clock)
        rounds = Rounds(collections.reconcile, clock, pace)
        operating = cls(collections, TenantReconciler(mesh, cluster, clock), rounds, scaler)
        rounds.reconcile = operating.look
        async with (
            tasks.running("rounds", rounds.run()),
            tasks.running("scaling", operating.scale(sides.scaling_seconds)),
            tasks.running("endings", operating.endings.run()),
        ):
            yield operating

    async def scale(self, seconds: float) -> None:
        """Look after the indexers until cancelled."""
        clock = self.collections.clock
        while True:
            paused_at = clock.monotonic()
            await clock.sleep(seconds)
            if self.scaler is None:
                continue
            if clock.monotonic() - paused_at > _SLEPT * seconds:
                self._has_listed = False  # what was told meanwhile comes later than this look
            before = self.scaler.known
            try:
                await self._list_once()
                await self.scaler.look(self._known.values())
            except RagmeshError as error:
                _log.warning("the indexers could not be looked at", extra={"reason": error.reason})
            if self.scaler.known != before:
                for key in self._known:
                    self.rounds.wake(key)

    def told(self, key: Key, body: Mapping[str, Any], is_gone: bool) -> None:
        """Something happened to a resource.

        A status is looked at when its turn comes. Counts change all the time while documents come
        in: whoever looked again after each status of its own would write without an end.
        """
        self.endings.told(key, body, is_gone)
        try:
            is_new = key.plural != COLLECTION.plural or self._learn(key, body, is_gone)
        except InvalidError:
            is_new = True  # what is wrong with it, its look says
        if is_new:
            self.rounds.wake(key)

    def _learn(self, key: Key, body: Mapping[str, Any], is_gone: bool) -> bool:
        """Keep a collection as it was told; whether anything but its status is new."""
        told, before = self.collections.understood(body), self._known.get(key)
        if is_gone:
            self._gone[key] = told
            self._known.pop(key, None)
            return True
        self._known[key] = told
        return before is None or not told.asks_as(before)

    async def _list_once(self) -> None:
        """Know all resources, and none that is gone: a wish may not be told yet, nor its end."""
        if self._has_listed:
            return
        before = dict(self._known)
        listed = set[Key]()
        for body in await self.collections.cluster.list(COLLECTION.plural):
            metadata = body["metadata"]
            key = Key(COLLECTION.plural, metadata["namespace"], metadata["name"])
            self.told(key, body, False)
            listed.add(key)
        for key in before.keys() - listed:
            if self._known.get(key) is before[key]:  # nobody told of it while they were listed
                self._gone[key] = self._known.pop(key)
                self.rounds.wake(key)
        self._has_listed = True

    async def look(self, key: Key) -> Look:
        """Look at one resource, or let go of one that is gone."""
        last = self._gone.get(key)
        if last is not None:
            await self.collections.let_go(last)
            self._gone.pop(key, None)
        kind = self.collections if key.plural == COLLECTION.plural else self.tenants
        before = self._known.get(key)
        found = await kind.reconcile(key)
        if not found.is_gone or key in self._gone:
            return found
        known = self._known.get(key)
        if known is not None and before is not None and known.uid == before.uid:
            self._gone[key] = self._known.pop(key)  # nobody told: it went while nobody watched
            return Look(is_moving=True)
        self.rounds.forget(key)
        return found
