"""A RAGTenant is a tenant with what the resource says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ragmesh.core.callers import Caller
from ragmesh.core.errors import UnavailableError
from ragmesh.core.tenants import Budget, BudgetAction, Tenant, TenantChange
from ragmesh_operator.schemas import TENANT
from ragmesh_operator.tenants import TenantReconciler
from ragmesh_operator.values import Key, Look
from tests.unit.operators.mesh import KEEPER
from tests.unit.operators.world import World, world

KEY = Key(TENANT.plural, "docs", "acme")


async def tenant_world(**spec: Any) -> tuple[World, TenantReconciler]:
    made = await world()
    made.cluster.bodies[KEY] = {
        "metadata": {
            "name": "acme",
            "namespace": "docs",
            "uid": "uid-1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": spec,
    }
    return made, TenantReconciler(made.mesh, made.cluster, made.clock)


async def test_a_resource_becomes_a_tenant_with_its_limits() -> None:
    made, operator = await tenant_world(
        displayName="Acme", budget={"monthlyDollars": 5, "onExceeded": "Degrade"}
    )
    await operator.reconcile(KEY)
    found = await made.mesh.get_tenant(KEEPER, "acme")
    assert (found.display_name, found.budget) == ("Acme", Budget(5, BudgetAction.DEGRADE))
    assert made.cluster.condition(KEY, "Ready") == ("True", "Settled")
    assert made.cluster.status(KEY)["uid"] == found.uid


async def test_what_somebody_changed_comes_back_and_a_second_look_writes_nothing() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    await made.mesh.update_tenant(KEEPER, "acme", TenantChange(display_name="other"))
    await operator.reconcile(KEY)
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == ""
    before = list(made.cluster.writes)
    await operator.reconcile(KEY)
    assert made.cluster.writes == before


async def test_of_two_resources_of_one_name_the_elder_counts_and_the_other_says_so() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    younger = Key(KEY.plural, "elsewhere", KEY.name)
    metadata = made.cluster.bodies[KEY]["metadata"] | {
        "namespace": younger.namespace,
        "uid": "uid-2",
        "creationTimestamp": "2026-01-02T00:00:00Z",
    }
    made.cluster.bodies[younger] = {"metadata": metadata, "spec": {"quota": {"documents": 99}}}
    for key in (KEY, younger, KEY):
        await operator.reconcile(key)
        assert (await made.mesh.get_tenant(KEEPER, "acme")).quota.documents == 10
    assert made.cluster.condition(KEY, "Ready") == ("True", "Settled")
    assert made.cluster.condition(younger, "Stalled") == ("True", "TenantExists")
    del made.cluster.bodies[KEY]
    for _ in range(2):  # what the elder kept is released first
        await operator.reconcile(younger)
    assert (await made.mesh.get_tenant(KEEPER, "acme")).quota.documents == 99
    assert made.cluster.condition(younger, "Ready") == ("True", "Settled")


async def test_a_mesh_that_is_away_is_told_and_waited_for() -> None:
    made, operator = await tenant_world()

    async def away(caller: Caller, name: str) -> Tenant:
        raise UnavailableError("away")

    made.mesh.get_tenant = away  # type: ignore[method-assign]
    look = await operator.reconcile(KEY)
    assert look.is_moving
    assert made.cluster.condition(KEY, "Reconciling") == ("True", "Unavailable")


async def test_a_spec_that_is_not_understood_is_told_once_a_generation() -> None:
    made, operator = await tenant_world(displayName="Acme")
    await operator.reconcile(KEY)
    uid = made.cluster.status(KEY)["uid"]
    for generation in (2, 3):
        body = made.cluster.bodies[KEY]
        body["spec"]["quota"] = {"speed": generation}
        body["metadata"] |= {"generation": generation, "resourceVersion": f"r{generation}"}
        for _ in range(3):
            assert not (await operator.reconcile(KEY)).is_moving
    warnings = [what for _, what in made.cluster.told]
    assert [(one.reason, one.is_warning) for one in warnings] == [("NotUnderstood", True)] * 2
    assert "quota.speed: extra inputs are not permitted" in warnings[0].message
    assert made.cluster.condition(KEY, "Ready") == ("False", "NotUnderstood")
    assert made.cluster.condition(KEY, "Stalled") == ("True", "NotUnderstood")
    assert (made.cluster.status(KEY)["observedGeneration"], made.cluster.status(KEY)["uid"]) == (
        3,
        uid,
    )
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == "Acme"


async def test_what_is_not_understood_is_left_alone_while_it_is_paused_or_going() -> None:
    made, operator = await tenant_world(speed=1, paused=True)
    await operator.reconcile(KEY)
    made.cluster.bodies[KEY]["spec"]["paused"] = False
    made.cluster.bodies[KEY]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    await operator.reconcile(KEY)
    assert (made.cluster.writes, made.cluster.told) == ([], [])


async def test_a_spec_that_is_understood_again_makes_the_tenant_ready() -> None:
    made, operator = await tenant_world(speed=1)
    await operator.reconcile(KEY)
    body = made.cluster.bodies[KEY]
    body["spec"] = {"displayName": "Acme"}
    body["metadata"] |= {"generation": 2, "resourceVersion": "r2"}
    await operator.reconcile(KEY)
    assert made.cluster.condition(KEY, "Ready") == ("True", "Settled")
    assert made.cluster.condition(KEY, "Stalled")[0] == "False"


def edit(made: World, **spec: Any) -> None:
    body = made.cluster.bodies[KEY]
    generation = body["metadata"]["generation"] + 1
    body["spec"] = spec
    body["metadata"] |= {"generation": generation, "resourceVersion": f"r{generation}"}


async def meanwhile(made: World, operator: TenantReconciler, event: Callable[[], None]) -> Look:
    """A look of an operator that sleeps after it has read the resource, while this happens."""
    real = made.mesh.get_tenant

    async def slow(caller: Caller, name: str) -> Tenant:
        found = await real(caller, name)
        event()
        return found

    made.mesh.get_tenant = slow  # type: ignore[method-assign]
    try:
        return await operator.reconcile(KEY)
    finally:
        made.mesh.get_tenant = real  # type: ignore[method-assign]


async def test_an_operator_that_slept_writes_nothing_of_an_older_generation() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    edit(made, displayName="second")
    look = await meanwhile(made, operator, lambda: edit(made, displayName="third"))
    assert look.is_moving
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == "first"
    assert made.cluster.status(KEY)["observedGeneration"] == 1
    await operator.reconcile(KEY)
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == "third"
    assert made.cluster.told == []


async def test_an_operator_that_slept_right_before_it_writes_is_refused_by_the_mesh() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    edit(made, displayName="second")
    real = made.cluster.list

    async def slow(plural: str) -> Any:
        found = await real(plural)
        made.cluster.list = real  # type: ignore[method-assign]
        edit(made, displayName="third")
        await operator.reconcile(KEY)  # another process, which is awake
        return found

    made.cluster.list = slow  # type: ignore[method-assign]
    look = await operator.reconcile(KEY)
    assert look.is_moving
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == "third"
    assert made.cluster.status(KEY)["observedGeneration"] == 3
    assert made.cluster.told == []


async def test_an_operator_that_slept_changes_no_tenant_whose_resource_is_gone() -> None:
    made, operator = await tenant_world(displayName="first")
    await operator.reconcile(KEY)
    edit(made, displayName="second")
    look = await meanwhile(made, operator, lambda: made.cluster.bodies.clear())
    assert look.is_moving
    assert (await made.mesh.get_tenant(KEEPER, "acme")).display_name == "first"


async def test_a_tenant_that_somebody_changed_or_deleted_is_told_as_drift_once() -> None:
    made, operator = await tenant_world(quota={"documents": 10})
    await operator.reconcile(KEY)
    assert made.cluster.told == []
    await made.mesh.update_tenant(KEEPER, "acme", TenantChange(display_name="other"))
    for _ in range(2):
        await operator.reconcile(KEY)
    await made.mesh.delete_tenant(KEEPER, "acme")
    for _ in range(2):
        await operator.reconcile(KEY)
    told = [what for _, what in made.cluster.told]
    assert [(one.reason, one.message.split(":")[0]) for one in told] == [
        ("DriftCorrected", "UpdateTenant"),
        ("DriftCorrected", "CreateTenant"),
    ]
