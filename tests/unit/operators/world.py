"""A cluster, a mesh and an operator between them, all in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.operating import NoScaler
from ragmesh_operator.reconciling import CollectionReconciler
from ragmesh_operator.values import Key, Look
from tests.unit.operators.cluster import FakeCluster, KilledError, Kills
from tests.unit.operators.mesh import FakeMesh

_TURNS = 50


@dataclass
class World:
    """What tests move."""

    clock: ManualClock = field(default_factory=ManualClock)
    kills: Kills = field(default_factory=Kills)
    cluster: FakeCluster = field(init=False)
    mesh: FakeMesh = field(init=False)
    operator: CollectionReconciler = field(init=False)

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(self.clock, self.kills)
        self.mesh = FakeMesh(self.clock, self.kills)
        self.operator = CollectionReconciler(self.mesh, self.cluster, NoScaler(), self.clock)

    async def look(self, key: Key) -> Look:
        return await self.operator.reconcile(key)

    async def look_in_spite_of_kills(self, key: Key) -> int:
        """Look until a look ends, starting anew after each kill; how often it was killed."""
        for killed in range(10):
            try:
                await self.operator.reconcile(key)
            except KilledError:
                self.kills.at = -1
            else:
                return killed
        raise AssertionError("it is killed for ever")

    @property
    def written(self) -> int:
        """Writes to either side."""
        return len(self.mesh.sent) + len(self.cluster.writes)


async def world() -> World:
    """A world with the tenant `default`."""
    return World()


async def let_run(task: asyncio.Task[None]) -> None:
    """Let a task that never ends do all that it can do without a clock."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    assert not task.done(), task
