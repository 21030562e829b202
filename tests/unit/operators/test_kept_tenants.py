"""What a RAGTenant says of its tenant nobody else does, while the resource is there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ragmesh.core.callers import (
    DEFAULT_TENANT_UID,
    MESH,
    Caller,
    Machine,
    Principal,
    Requester,
)
from ragmesh.core.errors import RequesterOutdatedError, TenantKeptError
from ragmesh.core.tenants import NewTenant, Quota, Tenant, TenantChange
from ragmesh_operator.operating import Operating
from ragmesh_operator.tenants import TenantReconciler
from ragmesh_operator.values import Key
from ragmesh_operator.working import Rounds
from tests.unit.operators.cluster import FakeCluster
from tests.unit.operators.mesh import KEEPER
from tests.unit.operators.test_tenants import KEY, edit, tenant_world
from tests.unit.operators.world import World

ADMIN = Principal(DEFAULT_TENANT_UID, "ada", roles=frozenset({MESH}))
MINE = TenantChange(quota=Quota(documents=99))
KEPT_BY = "uid-1@here/docs"


async def seen(made: World) -> Tenant:
    return await made.mesh.get_tenant(ADMIN, "acme")


def elsewhere(made: World, **there: Any) -> tuple[FakeCluster, TenantReconciler]:
    """Another cluster with a resource of the same name, and its operator, on the same mesh."""
    cluster = FakeCluster(made.clock, **there)
    body = copy.deepcopy(made.cluster.bodies[KEY])
    body["metadata"] |= {"uid": "uid-2"}
    body.pop("status", None)
    cluster.bodies[KEY] = body
    return cluster, TenantReconciler(made.mesh, cluster, made.clock)


async def test_what_a_resource_keeps_nobody_else_changes_or_deletes() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    for write in (
        made.mesh.update_tenant(ADMIN, "acme", MINE),
        made.mesh.delete_tenant(ADMIN, "acme"),
    ):
        with pytest.raises(TenantKeptError, match=f"the custom resource {KEPT_BY} keeps"):
            await write
    found = await seen(made)
    assert (found.quota.documents, found.kept_by) == (10, KEPT_BY)
    edit(made, quota={"documents": 20})
    await operator.reconcile(KEY)
    assert (await seen(made)).quota.documents == 20


async def test_a_tenant_that_was_there_before_is_kept_from_the_first_look_on() -> None:
    made, operator = await tenant_world(displayName="Acme")
    await made.mesh.create_tenant(ADMIN, NewTenant("acme", "Acme"))
    await operator.reconcile(KEY)
    found, writes = await seen(made), list(made.cluster.writes)
    assert found.kept_by == KEPT_BY
    assert made.cluster.told == []
    await operator.reconcile(KEY)
    assert (await seen(made), made.cluster.writes) == (found, writes)


async def test_a_generation_that_changes_nothing_of_the_tenant_is_told_the_mesh_once() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    edit(made, displayName="first", paused=False)
    await operator.reconcile(KEY)
    found = await seen(made)
    await operator.reconcile(KEY)
    assert await seen(made) == found
    asleep = Machine("operator", requester=Requester(KEPT_BY, 1))
    with pytest.raises(RequesterOutdatedError, match="generation 2 of the resource has asked"):
        await made.mesh.update_tenant(asleep, "acme", MINE)


async def test_what_was_released_a_resource_that_is_still_there_takes_back() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    await made.mesh.release_tenant(ADMIN, "acme", reason="by mistake")
    await operator.reconcile(KEY)
    assert (await seen(made)).kept_by == KEPT_BY
    assert [what.reason for _, what in made.cluster.told] == ["DriftCorrected"]
    before = await seen(made)
    await operator.reconcile(KEY)
    assert await seen(made) == before


async def test_a_resource_that_goes_releases_its_tenant_which_stays() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    del made.cluster.bodies[KEY]
    assert (await operator.reconcile(KEY)).is_gone
    found = await seen(made)
    assert (found.quota.documents, found.kept_by) == (10, "")
    await made.mesh.update_tenant(ADMIN, "acme", MINE)
    assert (await operator.reconcile(KEY)).is_gone
    assert (await seen(made)).quota.documents == 99


async def test_a_deletion_that_is_told_releases_the_tenant() -> None:
    made, operator = await tenant_world()
    await operator.reconcile(KEY)
    body = made.cluster.bodies.pop(KEY)
    operating = Operating(made.operator, operator, Rounds(operator.reconcile, made.clock))
    operating.told(KEY, body, True)
    assert operating.rounds.keys == {KEY}
    await operating.look(KEY)
    assert (await seen(made)).kept_by == ""
    assert operating.rounds.keys == frozenset()


async def test_what_another_resource_keeps_by_now_a_deletion_does_not_release() -> None:
    made, operator = await tenant_world()
    await operator.reconcile(KEY)
    there = Key(KEY.plural, "elsewhere", KEY.name)
    assert (await operator.reconcile(there)).is_gone
    assert (await seen(made)).kept_by == KEPT_BY
    body = made.cluster.bodies.pop(KEY)
    real = made.cluster.read

    async def read(key: Key) -> Mapping[str, Any] | None:
        """Made anew right after somebody saw that it is gone."""
        made.cluster.read = real  # type: ignore[method-assign]
        made.cluster.bodies[KEY] = body
        return None

    made.cluster.read = read  # type: ignore[method-assign]
    await operator.reconcile(KEY)
    assert (await seen(made)).kept_by == KEPT_BY


async def test_a_resource_that_was_made_anew_unseen_takes_the_tenant_over() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    made.cluster.bodies[KEY]["metadata"]["uid"] = "uid-9"
    edit(made, quota={"documents": 20})
    assert (await operator.reconcile(KEY)).is_moving
    await operator.reconcile(KEY)
    found = await seen(made)
    assert (found.quota.documents, found.kept_by) == (20, "uid-9@here/docs")
    assert made.cluster.condition(KEY, "Ready") == ("True", "Settled")


@pytest.mark.parametrize("documents", [10, 20], ids=["the same", "another"])
async def test_of_two_clusters_the_first_keeps_a_tenant_and_the_other_is_refused(
    documents: int,
) -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    green, other = elsewhere(made, identity="there")
    green.bodies[KEY]["spec"] = {"quota": {"documents": documents}}
    await operator.reconcile(KEY)
    kept = await seen(made)
    for _ in range(3):
        await other.reconcile(KEY)
        await operator.reconcile(KEY)
    assert await seen(made) == kept
    assert green.condition(KEY, "Stalled") == ("True", "TenantKept")
    (told,) = [what for _, what in green.told]
    assert f"{KEPT_BY} keeps the tenant acme" in told.message
    await made.mesh.release_tenant(ADMIN, "acme", reason="moved to the green cluster")
    await other.reconcile(KEY)
    assert (await seen(made)).kept_by == "uid-2@there/docs"
    assert green.condition(KEY, "Ready") == ("True", "Settled")


async def test_an_operator_of_one_namespace_takes_nothing_of_another_for_left_behind() -> None:
    made, operator = await tenant_world()
    made.cluster.namespaces = ("docs",)
    others, other = elsewhere(made, namespaces=("wiki",))
    same = Key(KEY.plural, "wiki", KEY.name)
    others.bodies[same] = others.bodies.pop(KEY)
    others.bodies[same]["metadata"]["namespace"] = "wiki"
    await operator.reconcile(KEY)
    await other.reconcile(same)
    assert others.condition(same, "Stalled") == ("True", "TenantKept")
    assert (await seen(made)).kept_by == KEPT_BY


async def test_a_resource_keeps_its_tenant_when_what_tells_its_cluster_is_renewed() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    made.cluster.identity = "renewed"
    edit(made, displayName="second")
    for _ in range(2):
        await operator.reconcile(KEY)
    found = await seen(made)
    assert (found.display_name, found.kept_by) == ("second", "uid-1@renewed/docs")


async def test_a_paused_resource_keeps_its_tenant() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    edit(made, displayName="second", paused=True)
    await operator.reconcile(KEY)
    with pytest.raises(TenantKeptError):
        await made.mesh.update_tenant(ADMIN, "acme", MINE)


# PD-8
async def test_a_mesh_that_is_too_old_to_say_who_keeps_a_tenant_is_written_as_before() -> None:
    made, operator = await tenant_world(displayName="Acme")
    made.mesh.tells_keepers = False
    await made.mesh.create_tenant(ADMIN, NewTenant("acme", "Acme"))
    before = await seen(made)
    await operator.reconcile(KEY)
    assert await seen(made) == before
    del made.cluster.bodies[KEY]
    assert (await operator.reconcile(KEY)).is_gone


# PD-8
async def test_a_mesh_that_is_renewed_is_told_who_keeps_a_tenant_less_and_less_often() -> None:
    made, operator = await tenant_world(displayName="Acme")
    await made.mesh.create_tenant(ADMIN, NewTenant("acme", "Acme"))
    real, taken = made.mesh.update_tenant, list[str]()

    async def of_0_2_0(caller: Caller, name: str, change: TenantChange) -> Tenant:
        """By a process that keeps nothing for whoever asks, beside one that answers for it."""
        taken.append(name)
        return replace(await real(KEEPER, name, change), kept_by=None)

    made.mesh.update_tenant = of_0_2_0  # type: ignore[method-assign]
    for _ in range(40):
        await operator.reconcile(KEY)
        await made.clock.advance(10)
    assert (len(taken), (await seen(made)).kept_by) == (4, "")
    made.mesh.update_tenant = real  # type: ignore[method-assign]
    await made.clock.advance(600)
    await operator.reconcile(KEY)
    assert (await seen(made)).kept_by == KEPT_BY
