"""What nobody told the operator it finds at its next look; nothing ends it, and nothing hangs."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import CollectionKeptError, InvalidError
from ragmesh.core.migrations import IndexChange
from ragmesh.testing.clocks import ManualClock
from ragmesh_operator.autoscaling import Autoscaler
from ragmesh_operator.operating import NoScaler, Operating
from ragmesh_operator.reconciling import CollectionReconciler
from ragmesh_operator.tenants import TenantReconciler
from ragmesh_operator.values import Key, Look
from ragmesh_operator.working import Rounds
from tests.unit.operators.cluster import FakeCluster
from tests.unit.operators.test_autoscaling import FakeBacklog, FakeWorkloads, scaler
from tests.unit.operators.world import World, let_run, world


def operating(made: World, by: Autoscaler | None = None) -> Operating:
    tenants = TenantReconciler(made.mesh, made.cluster, made.clock)
    found = Operating(made.operator, tenants, Rounds(made.operator.reconcile, made.clock), by)
    found.rounds.reconcile = found.look
    return found


async def test_a_collection_whose_resource_went_unseen_is_released() -> None:
    made = await world()
    operator = operating(made)
    key = made.cluster.create("handbook", {"autoscaling": {"provider": "native"}})
    operator.told(key, made.cluster.bodies[key], False)
    await operator.look(key)
    del made.cluster.bodies[key]
    while (await operator.look(key)).is_moving:
        pass
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    await made.mesh.want_index(admin, "handbook", IndexChange())
    assert key not in operator._known


async def test_what_went_while_no_operator_ran_an_administrator_releases() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await operating(made).look(key)
    del made.cluster.bodies[key]
    await operating(made).look(key)
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    with pytest.raises(CollectionKeptError, match="an administrator release"):
        await made.mesh.delete_collection(admin, "handbook")
    await made.mesh.release_collection(admin, "handbook", reason="its cluster is gone")
    await made.mesh.want_index(admin, "handbook", IndexChange(encoder="better"))
    await made.mesh.delete_collection(admin, "handbook")


async def test_what_was_released_a_resource_that_is_still_there_takes_back() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    await made.mesh.release_collection(admin, "handbook", reason="by mistake")
    await made.look(key)
    with pytest.raises(CollectionKeptError):
        await made.mesh.delete_collection(admin, "handbook")
    assert {what.reason for _, what in made.cluster.told} == {"DriftCorrected"}
    before = made.written
    await made.look(key)
    assert made.written == before


def elsewhere(made: World, **there: Any) -> tuple[FakeCluster, CollectionReconciler]:
    """Another cluster and its operator, on the same mesh."""
    cluster = FakeCluster(made.clock, **there)
    return cluster, CollectionReconciler(made.mesh, cluster, NoScaler(), made.clock)


@pytest.mark.parametrize("encoder", ["fast", "better"], ids=["the same", "another"])
async def test_of_two_clusters_the_first_keeps_a_collection_and_the_other_is_refused(
    encoder: str,
) -> None:
    made = await world()
    green, other = elsewhere(made, identity="there")
    key = made.cluster.create("handbook", {"encoder": "fast"}, uid="uid-blue")
    same = green.create("handbook", {"encoder": encoder}, uid="uid-green")
    await made.look(key)
    (place,) = made.mesh.collections
    kept = (made.mesh._states[place], list(made.cluster.writes))
    for _ in range(3):
        await other.reconcile(same)
        await made.look(key)
    assert (made.mesh._states[place], list(made.cluster.writes)) == kept
    assert "release" not in {method for method, _name, _what in made.mesh.sent}
    assert green.condition(same, "Stalled") == ("True", "CollectionKept")
    (told,) = [what for _, what in green.told]
    assert told.reason == "CollectionKept"
    assert "uid-blue@here/docs keeps the collection handbook" in told.message


async def test_what_one_cluster_releases_the_other_keeps() -> None:
    made = await world()
    green, other = elsewhere(made, identity="there")
    key = made.cluster.create("handbook", {"encoder": "fast"}, uid="uid-blue")
    same = green.create("handbook", {"encoder": "better"}, uid="uid-green")
    await made.look(key)
    await other.reconcile(same)
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    await made.mesh.release_collection(admin, "handbook", reason="moved to the green cluster")
    await other.reconcile(same)
    await made.look(key)
    found = await made.mesh.get_migration(admin, "handbook")
    assert (found.kept_by, found.encoder) == ("uid-green@there/docs", "better")
    assert green.condition(same, "Stalled")[0] == "False"
    assert made.cluster.condition(key, "Stalled") == ("True", "CollectionKept")


async def test_an_operator_of_one_namespace_takes_nothing_of_another_for_left_behind() -> None:
    made = await world()
    made.cluster.namespaces = ("docs",)
    others, other = elsewhere(made, namespaces=("wiki",))
    key = made.cluster.create("handbook", {}, uid="uid-docs")
    await made.look(key)
    body = copy.deepcopy(made.cluster.bodies[key])
    body["metadata"] |= {"namespace": "wiki", "uid": "uid-wiki"}
    body.pop("status")
    same = Key(key.plural, "wiki", "handbook")
    others.bodies[same] = body
    await other.reconcile(same)
    assert others.condition(same, "Stalled") == ("True", "CollectionKept")


async def test_a_resource_keeps_its_collection_when_what_tells_its_cluster_is_renewed() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fast"}, uid="uid-blue")
    await made.look(key)
    made.cluster.identity = "here after the authority was renewed"
    made.cluster.edit(key, encoder="better")
    await made.look(key)
    (place,) = made.mesh.collections
    assert made.mesh._states[place].wanted.encoder == "better"
    assert made.cluster.condition(key, "Stalled")[0] == "False"


async def test_a_mesh_that_does_not_tell_who_keeps_a_collection_is_left_alone() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"migration": {"soak": "2h"}})
    await made.look(key)
    made.mesh.tells_keepers = False
    before = made.written
    await made.look(key)
    assert made.written == before


async def test_a_spec_that_is_not_understood_is_told_once_a_generation() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    sent = list(made.mesh.sent)
    operator = operating(made)
    for generation in (2, 3):
        body = made.cluster.bodies[key]
        body["spec"]["migration"] = {"speed": generation}
        body["metadata"] |= {"generation": generation, "resourceVersion": f"r{generation}"}
        for _ in range(3):
            operator.told(key, made.cluster.bodies[key], False)
            assert not (await operator.look(key)).is_gone
    warnings = [what for _, what in made.cluster.told]
    assert [(one.reason, one.is_warning) for one in warnings] == [("NotUnderstood", True)] * 2
    assert "migration.speed: extra inputs are not permitted" in warnings[0].message
    assert made.cluster.condition(key, "Ready") == ("False", "NotUnderstood")
    assert made.cluster.condition(key, "Stalled") == ("True", "NotUnderstood")
    status = made.cluster.status(key)
    (stalled,) = [one for one in status["conditions"] if one["type"] == "Stalled"]
    assert "migration.speed" in stalled["message"]
    assert (status["observedGeneration"], status["activeVersion"][:3]) == (3, "v1-")
    assert made.mesh.sent == sent


async def test_two_bounds_of_one_metric_are_told_by_their_field() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    metrics = [{"name": "recall", "floor": 0.5}, {"name": "recall", "maxRegression": 0.1}]
    made.cluster.bodies[key]["spec"]["evaluation"]["metrics"] = metrics
    await made.look(key)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")
    metrics[0]["maxRegression"] = 0.0
    await made.look(key)
    assert made.cluster.condition(key, "Stalled") == ("True", "NotUnderstood")
    stalled = next(
        one for one in made.cluster.status(key)["conditions"] if one["type"] == "Stalled"
    )
    assert stalled["message"].endswith("evaluation.metrics: two bounds of recall; leave one")


# OP-7
async def test_what_is_not_understood_is_deleted_in_time_all_the_same() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": "Delete"})
    await made.look(key)
    made.cluster.bodies[key]["spec"]["speed"] = 1
    made.cluster.delete(key)
    await made.look(key)
    assert key in made.cluster.bodies
    await made.clock.advance(120.0)
    await made.operator.give_up_overdue(key)
    assert key not in made.cluster.bodies
    assert [what.reason for _, what in made.cluster.told] == ["CleanupIncomplete"]
    assert made.mesh.collections


async def test_a_spec_that_is_understood_again_is_carried_out() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    good = dict(made.cluster.bodies[key]["spec"])
    made.cluster.bodies[key]["spec"]["speed"] = 1
    await made.look(key)
    assert made.cluster.condition(key, "Stalled") == ("True", "NotUnderstood")
    made.cluster.bodies[key]["spec"] = good
    await made.look(key)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")


async def test_a_resource_that_is_made_while_its_namesake_goes_is_looked_at() -> None:
    made = await world()
    operator = operating(made)
    handbook = made.cluster.create("handbook", {}, uid="first")
    operator.told(handbook, made.cluster.bodies[handbook], False)
    read = made.cluster.read

    async def read_late(key: Key) -> Mapping[str, Any] | None:
        """Answers what was there when it was asked; meanwhile one of the same name is made."""
        found = await read(key)
        if found is None and key not in made.cluster.bodies:
            made.cluster.create("handbook", {}, uid="second")
            operator.told(handbook, made.cluster.bodies[handbook], False)
        return found

    task = asyncio.create_task(operator.rounds.run())
    try:
        await let_run(task)
        gone = made.cluster.bodies.pop(handbook)
        made.cluster.read = read_late  # type: ignore[method-assign]
        operator.told(handbook, gone, True)
        await let_run(task)
        assert made.cluster.condition(handbook, "Ready")[0] == "True"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_spec_of_another_version_of_the_definition_ends_nobody() -> None:
    made = await world()
    operator = operating(made)
    strange = made.cluster.create("strange", {})
    made.cluster.bodies[strange]["spec"]["invented"] = True
    plain = made.cluster.create("plain", {})
    task = asyncio.create_task(operator.rounds.run())
    try:
        for key in (strange, plain):
            operator.told(key, made.cluster.bodies[key], False)
        await let_run(task)
        assert made.cluster.condition(plain, "Ready")[0] == "True"
        assert made.cluster.condition(strange, "Stalled") == ("True", "NotUnderstood")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def scaling(made: World, operator: Operating) -> AsyncIterator[asyncio.Task[None]]:
    """It goes on scaling in the block, and has done so once before."""
    task = asyncio.create_task(operator.scale(5.0))
    try:
        await let_run(task)
        await made.clock.advance(5.0)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_fresh_operator_leaves_its_scaled_object_until_it_knows_the_resources() -> None:
    made = await world()
    made.cluster.create("handbook", {"autoscaling": {"provider": "keda"}})
    workloads = FakeWorkloads(keda=True)
    operator = operating(made, scaler(workloads, FakeBacklog()))
    async with scaling(made, operator) as task:
        await let_run(task)
        assert (workloads.deleted, len(workloads.applied)) == (0, 1)


class Frozen(ManualClock):
    """A clock of a process that may be stopped while it pauses."""

    stopped_seconds = 0.0
    _before = 0.0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._before, self.stopped_seconds = self._before + self.stopped_seconds, 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._before


# OP-2
async def test_an_operator_that_slept_scales_by_what_is_wanted_by_now() -> None:
    clock = Frozen()
    made = World(clock=clock)
    key = made.cluster.create("handbook", {"autoscaling": {"provider": "keda"}})
    workloads = FakeWorkloads(keda=True)
    operator = operating(made, scaler(workloads, FakeBacklog()))
    async with scaling(made, operator):
        made.cluster.edit(key, autoscaling={"provider": "none"})
        clock.stopped_seconds = 60.0
        await made.clock.advance(5.0)
        assert (workloads.deleted, len(workloads.applied)) == (1, 1)


# OP-2
async def test_an_operator_that_slept_lets_go_of_what_went_meanwhile() -> None:
    clock = Frozen()
    made = World(clock=clock)
    key = made.cluster.create("handbook", {"autoscaling": {"provider": "keda"}})
    await made.look(key)
    workloads = FakeWorkloads(keda=True)
    operator = operating(made, scaler(workloads, FakeBacklog()))
    async with scaling(made, operator):
        made.cluster.bodies.pop(key)
        clock.stopped_seconds = 60.0
        await made.clock.advance(5.0)
        assert (workloads.deleted, len(workloads.applied)) == (1, 1)
        await operator.look(key)
        (place,) = made.mesh.collections
        assert made.mesh._states[place].requester is None


async def test_what_is_made_while_an_operator_lists_is_not_gone() -> None:
    made = await world()
    workloads = FakeWorkloads(keda=True)
    operator = operating(made, scaler(workloads, FakeBacklog()))
    listed = made.cluster.list

    async def list_late(plural: str) -> Sequence[Mapping[str, Any]]:
        """Answers what was there when it was asked; meanwhile one is made, and told."""
        found = await listed(plural)
        key = made.cluster.create("handbook", {"autoscaling": {"provider": "keda"}})
        operator.told(key, made.cluster.bodies[key], False)
        return found

    made.cluster.list = list_late  # type: ignore[method-assign]
    async with scaling(made, operator) as task:
        await let_run(task)
        assert (workloads.deleted, len(workloads.applied)) == (0, 1)


async def test_a_deletion_ends_where_another_resource_keeps_the_collection() -> None:
    made = await world()
    first = made.cluster.create("handbook", {}, uid="first")
    await made.look(first)
    other = Key(first.plural, "elsewhere", "handbook")
    body = {**made.cluster.bodies[first]}
    body["metadata"] = dict(body["metadata"], namespace="elsewhere", uid="second")
    body["spec"] = dict(body["spec"], deletionPolicy="Delete")
    body.pop("status")
    made.cluster.bodies[other] = body
    await made.look(other)
    assert made.cluster.condition(other, "Stalled") == ("True", "CollectionKept")
    made.cluster.delete(other)
    await made.look(other)
    assert other not in made.cluster.bodies
    assert made.mesh.collections
    assert made.cluster.condition(first, "Ready")[0] == "True"


async def test_what_the_resource_says_anew_is_no_drift() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    made.cluster.edit(key, defaultAccess="restricted")
    await made.look(key)
    assert made.cluster.told == []


async def test_what_cannot_pass_by_itself_is_not_tried_all_the_time() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    made.mesh.error = InvalidError("it cannot be")
    assert await made.look(key) == Look(is_moving=False)
