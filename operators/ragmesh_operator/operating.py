"""The operator as a whole: what is told goes to rounds, and rounds look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ragmesh.chassis.lifecycle import Tasks
from ragmesh.core.clock import Clock
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.reconciling import CollectionReconciler, Look
from ragmesh_operator.reporting import Scaling
from ragmesh_operator.schemas import COLLECTION
from ragmesh_operator.values import CollectionResource, Key, collection_resource
from ragmesh_operator.working import Pace, Rounds


class NoScaler:
    """Scales nothing."""

    def shown(self, _wanted: CollectionResource) -> Scaling:
        """That it does not."""
        return Scaling()


@dataclass(slots=True)
class Operating:
    """Hears of resources and has them looked at."""

    collections: CollectionReconciler
    rounds: Rounds
    _gone: dict[Key, CollectionResource] = field(default_factory=dict)
    """Resources that are gone and whose collections are still kept."""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, mesh: Mesh, cluster: Resources, clock: Clock, pace: Pace, tasks: Tasks
    ) -> AsyncIterator[Operating]:
        """The operator at work."""
        collections = CollectionReconciler(mesh, cluster, NoScaler(), clock)
        rounds = Rounds(collections.reconcile, clock, pace)
        operating = cls(collections, rounds)
        rounds.reconcile = operating.look
        async with tasks.running("rounds", rounds.run()):
            yield operating

    def told(self, key: Key, body: Mapping[str, Any], is_gone: bool) -> None:
        """Something happened to a resource."""
        if is_gone and key.plural == COLLECTION.plural:
            self._gone[key] = collection_resource(body, key.plural)
        self.rounds.wake(key)

    async def look(self, key: Key) -> Look:
        """Look at one resource, or let go of one that is gone."""
        last = self._gone.get(key)
        if last is not None:
            await self.collections.let_go(last)
            self._gone.pop(key, None)
        found = await self.collections.reconcile(key)
        if found.is_gone and key not in self._gone:
            self.rounds.forget(key)
        return found
