"""One look at a RAGCollection brings mesh and status to what it says; a second one does nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ragmesh.core.callers import Machine, Principal, Requester
from ragmesh.core.documents import CollectionChange, DefaultAccess, Upload, accepted_of
from ragmesh.core.errors import CollectionKeptError, UnavailableError
from ragmesh.core.migrations import IndexChange
from ragmesh.testing.migrations import golden_lines
from ragmesh_operator.resources import FINALIZER
from ragmesh_operator.values import Key
from tests.unit.operators.world import World, world

AWAY = UnavailableError("the mesh is away")


def acting(made: World, key: Key) -> Machine:
    """The operator as it acts for a resource."""
    metadata = made.cluster.bodies[key]["metadata"]
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    return Machine("operator", tenant_uid, Requester(metadata["uid"], metadata["generation"]))


async def test_a_resource_becomes_a_collection_and_says_ready() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fake", "defaultAccess": "restricted"})
    look = await made.look(key)
    (found,) = made.mesh.collections.values()
    status = made.cluster.status(key)
    assert (found.shown.name, found.shown.default_access) == ("handbook", DefaultAccess.RESTRICTED)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")
    assert (status["activeVersion"], status["weights"][0]["weight"]) == ("v1-00000000", 100)
    assert status["observedGeneration"] == status["appliedGeneration"] == 1
    assert not look.is_moving


# OP-5
async def test_every_condition_is_there_from_the_first_status_on() -> None:
    made = await world()
    made.mesh.error = AWAY
    key = made.cluster.create("handbook", {})
    await made.look(key)
    kinds = {one["type"]: one["status"] for one in made.cluster.status(key)["conditions"]}
    assert kinds == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
        "QualityOK": "Unknown",
        "AutoscalingActive": "False",
    }


async def test_a_second_look_writes_nothing() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": "Delete"})
    await made.look(key)
    before = made.written
    await made.clock.advance(3600)
    await made.look(key)
    assert made.written == before


async def test_the_status_tells_how_many_documents_there_are_and_what_waits() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    ((tenant_uid, _name),) = made.mesh.collections
    ada = Principal(tenant_uid, "ada", frozenset(), frozenset({"admin"}))
    uploads = [Upload(b"text", name) for name in ("a", "b", "c", "d")]
    sent = await made.mesh.create_documents(ada, "handbook", uploads)
    first, second, *_ = map(accepted_of, sent)
    await made.mesh.finish(first.job_id)
    await made.mesh.fail(second.job_id)
    await made.clock.advance(90)
    await made.look(key)
    status = made.cluster.status(key)
    assert status["documents"] == {"accepted": 4, "indexed": 1, "failed": 1}
    assert status["ingestion"] == {"backlog": 2, "freshnessSeconds": 90, "deadLetters": 1}


async def test_a_change_of_the_resource_is_told_with_its_generation() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fake"})
    await made.look(key)
    made.cluster.edit(key, encoder="better")
    look = await made.look(key)
    assert ("want", "handbook", "better") in made.mesh.sent
    assert made.cluster.condition(key, "Reconciling") == ("True", "Provisioning")
    assert made.cluster.condition(key, "Ready") == ("False", "Provisioning")
    assert made.cluster.status(key)["candidateVersion"].startswith("v2-")
    assert look.is_moving


# OP-4
async def test_what_the_mesh_has_otherwise_is_put_right_and_told() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fake"})
    await made.look(key)
    made.mesh.collections.clear()
    await made.look(key)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")
    assert {what.reason for _, what in made.cluster.told} == {"DriftCorrected"}


async def test_what_a_resource_says_the_api_does_not_change() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    change = CollectionChange(default_access=DefaultAccess.RESTRICTED)
    with pytest.raises(CollectionKeptError, match="change it there"):
        await made.mesh.update_collection(admin, "handbook", change)


async def test_an_operator_that_slept_changes_nothing() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fake"})
    await made.look(key)
    made.cluster.edit(key, encoder="better")
    old = dict(made.cluster.bodies[key]["metadata"], generation=1)
    await made.look(key)
    status, body = made.cluster.status(key), made.cluster.bodies[key]
    made.cluster.bodies[key] = {
        **body,
        "metadata": old,
        "spec": body["spec"] | {"encoder": "fake"},
    }
    await made.look(key)
    assert made.cluster.bodies[key]["status"] == status
    found = await made.mesh.get_migration(acting(made, key), "handbook")
    assert found.encoder == "better"


# OP-12
async def test_paused_stops_every_write() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    made.cluster.edit(key, paused=True, encoder="better")
    status, before = made.cluster.status(key), made.written
    await made.look(key)
    assert (made.written, made.cluster.status(key)) == (before, status)


# OP-12
async def test_a_new_resource_that_is_paused_is_told_so_once() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"paused": True})
    await made.look(key)
    assert made.cluster.condition(key, "Ready") == ("False", "Paused")
    assert made.cluster.condition(key, "Reconciling") == ("True", "Paused")
    assert (made.mesh.sent, len(made.cluster.writes)) == ([], 1)
    made.cluster.edit(key, encoder="better")
    await made.look(key)
    assert len(made.cluster.writes) == 1
    made.cluster.edit(key, paused=False)
    await made.look(key)
    assert made.cluster.condition(key, "Ready") == ("True", "Idle")
    found = await made.mesh.get_migration(acting(made, key), "handbook")
    assert found.encoder == "better"


async def test_a_command_to_a_paused_resource_is_carried_out_once_it_is_paused_no_more() -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    made.cluster.edit(key, encoder="better")
    await made.look(key)
    made.cluster.edit(key, paused=True)
    made.cluster.annotate(key, migration="abort")
    await made.look(key)
    assert "command" not in {method for method, _name, _what in made.mesh.sent}
    made.cluster.edit(key, paused=False)
    await made.look(key)
    assert [what for method, _name, what in made.mesh.sent if method == "command"] == ["abort"]


async def test_a_paused_resource_that_is_deleted_deletes_no_documents_and_keeps_nothing() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": "Delete"})
    await made.look(key)
    made.cluster.edit(key, paused=True)
    made.cluster.delete(key)
    await made.look(key)
    assert key not in made.cluster.bodies
    (tenant_uid, _name) = next(iter(made.mesh.collections))
    admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
    assert (await made.mesh.get_migration(admin, "handbook")).kept_by == ""


async def test_golden_questions_of_the_config_map_are_kept() -> None:
    made = await world()
    content = golden_lines([("Where is it?", "a"), ("And when?", "b")])
    queries = {"goldenQueries": {"configMapRef": {"name": "golden"}}}
    key = made.cluster.create("handbook", {"evaluation": queries})
    await made.look(key)
    assert made.cluster.condition(key, "QualityOK") == ("Unknown", "GoldenQueriesMissing")
    made.cluster.config["docs", "golden", "golden.jsonl"] = content
    await made.look(key)
    kept = await made.mesh.get_golden_questions(acting(made, key), "handbook")
    assert kept.content == content


async def test_a_tenant_that_is_missing_is_waited_for() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"tenant": "later"})
    await made.look(key)
    assert made.cluster.condition(key, "Reconciling") == ("True", "TenantMissing")
    await made.mesh.open_tenant("later")
    await made.look(key)
    assert made.cluster.condition(key, "Ready")[0] == "True"


async def test_a_collection_of_a_resource_that_is_gone_is_taken_over() -> None:
    made = await world()
    key = made.cluster.create("handbook", {}, uid="first")
    await made.look(key)
    del made.cluster.bodies[key]  # with no operator there to see it
    key = made.cluster.create("handbook", {}, uid="second")
    await made.look(key)
    assert made.cluster.condition(key, "Ready")[0] == "True"


async def test_a_collection_of_another_resource_is_left_alone() -> None:
    made = await world()
    key = made.cluster.create("handbook", {}, uid="first")
    await made.look(key)
    other = Key(key.plural, "elsewhere", "handbook")
    body = {**made.cluster.bodies[key]}
    body["metadata"] = dict(body["metadata"], namespace="elsewhere", uid="second")
    body.pop("status")
    made.cluster.bodies[other] = body
    await made.look(other)
    assert made.cluster.condition(other, "Stalled") == ("True", "CollectionKept")


@pytest.mark.parametrize(("policy", "stays"), [("Delete", False), ("Retain", True)])
async def test_a_deletion_does_with_the_documents_what_the_policy_says(
    policy: str, stays: bool
) -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": policy})
    await made.look(key)
    has = made.cluster.bodies[key]["metadata"].get("finalizers", [])
    assert (FINALIZER in has) is not stays
    last: Any = await made.cluster.read(key)
    made.cluster.delete(key)
    await made.look(key)
    await made.operator.let_go(made.operator.understood(last))
    assert key not in made.cluster.bodies
    assert bool(made.mesh.collections) is stays
    if stays:
        (tenant_uid, _name) = next(iter(made.mesh.collections))
        admin = Principal(tenant_uid, "ada", roles=frozenset({"admin"}))
        await made.mesh.want_index(admin, "handbook", IndexChange())


async def test_a_deletion_ends_after_two_minutes_whatever_the_mesh_does() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": "Delete"})
    await made.look(key)
    made.mesh.error = AWAY
    made.cluster.delete(key)
    await made.look(key)
    await made.clock.advance(119)
    await made.look(key)
    await made.operator.give_up_overdue(key)
    assert key in made.cluster.bodies
    await made.clock.advance(1)
    await made.operator.give_up_overdue(key)
    assert key not in made.cluster.bodies
    assert [what.reason for _, what in made.cluster.told] == ["CleanupIncomplete"]


async def test_a_finalizer_goes_when_the_policy_changes() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"deletionPolicy": "Delete"})
    await made.look(key)
    made.cluster.edit(key, deletionPolicy="Retain")
    await made.look(key)
    assert FINALIZER not in made.cluster.bodies[key]["metadata"]["finalizers"]


async def test_a_command_is_sent_once_with_who_and_why_and_its_annotation_goes() -> None:
    made = await world()
    key = made.cluster.create("handbook", {"encoder": "fake"})
    await made.look(key)
    made.cluster.edit(key, encoder="better")
    await made.look(key)
    made.cluster.annotate(
        key, **{"migration": "hold", "migration-by": "ada", "migration-reason": "friday"}
    )
    made.cluster.bodies[key]["metadata"]["annotations"]["mine"] = "stays"
    await made.look(key)
    orders = [what for method, _, what in made.mesh.sent if method == "command"]
    assert orders == ["hold ada: friday"]
    assert made.cluster.bodies[key]["metadata"]["annotations"] == {"mine": "stays"}
    assert made.cluster.status(key)["migration"]["command"]["outcome"] == "Done"
    assert made.cluster.condition(key, "Stalled") == ("True", "Held")


@pytest.mark.parametrize("command", ["promote", "nonsense"])
async def test_a_command_that_cannot_be_is_refused_with_an_event(command: str) -> None:
    made = await world()
    key = made.cluster.create("handbook", {})
    await made.look(key)
    made.cluster.annotate(key, migration=command)
    await made.look(key)
    assert [what.reason for _, what in made.cluster.told] == ["CommandRefused"]
    assert made.cluster.status(key)["migration"]["command"]["outcome"] == "Refused"
    assert made.cluster.condition(key, "Ready")[0] == "True"


@pytest.mark.parametrize("command", ["hold", "abort"])
async def test_a_command_is_carried_out_although_the_spec_cannot_be(command: str) -> None:
    made = await world()
    golden = {"goldenQueries": {"configMapRef": {"name": "golden"}}}
    made.cluster.config["docs", "golden", "golden.jsonl"] = golden_lines([("Where?", "a")])
    key = made.cluster.create("handbook", {"encoder": "fake", "evaluation": golden})
    await made.look(key)
    made.cluster.edit(key, encoder="better")
    await made.look(key)
    made.cluster.config["docs", "golden", "golden.jsonl"] = "{no question"
    made.cluster.annotate(key, migration=command)
    await made.look(key)
    status = made.cluster.status(key)
    assert made.mesh.sent[-1] == ("command", "handbook", command)
    assert made.cluster.bodies[key]["metadata"]["annotations"] == {}
    assert status["migration"]["command"]["outcome"] == "Done"
    assert made.cluster.condition(key, "Stalled") == ("True", "InvalidGoldenQuestions")


async def test_a_command_of_a_resource_that_keeps_nothing_is_not_carried_out() -> None:
    made = await world()
    key = made.cluster.create("handbook", {}, uid="first")
    await made.look(key)
    other = Key(key.plural, "elsewhere", key.name)
    made.cluster.bodies[other] = made.cluster.bodies[key]
    key = made.cluster.create("handbook", {}, uid="second")
    made.cluster.annotate(key, migration="hold")
    await made.look(key)
    assert [what for method, _, what in made.mesh.sent if method == "command"] == []
    assert made.cluster.condition(key, "Stalled") == ("True", "CollectionKept")
