"""The operator by its chart, on a real cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.conftest import own_namespace
from tests.cluster.freezing import DEPLOYMENT, process_of, wake_beside_its_successor
from tests.cluster.operated import (
    AT_ONCE,
    HANDBOOK,
    MODEL,
    WORSE,
    Operated,
    embedded_values,
    operated_mesh,
)
from tests.cluster.releases import Door, Namespace
from tests.unit.operators.examples import CHANGES, examples, refused, taken
from tests.unit.operators.judging import misjudged, refusals
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

DRY = ("--dry-run=server", "--validate=false")
"""Judged by the API server alone: kubectl would refuse some of it before."""
DRIFT_SECONDS = END_SECONDS = 60


@pytest.fixture(scope="module")
def operated(kubectl: Kubectl, image: str, identity: Path, host: str) -> Iterator[Operated]:
    with operated_mesh(kubectl, image, identity, host) as made:
        yield made


# OP-8
def test_every_rule_of_the_resources_takes_and_refuses_its_examples(operated: Operated) -> None:
    asked = examples()
    operated.give("create", *DRY, *(one.resource for one in taken(asked)))
    with pytest.raises(KubectlError) as caught:
        operated.give("create", *DRY, *(one.resource for one in refused(asked)))
    assert misjudged(str(caught.value), refused(asked)) == []


# OP-8
def test_what_cannot_be_changed_is_refused_and_all_else_is_taken(operated: Operated) -> None:
    operated.apply(*(one.there for one in CHANGES))
    operated.give("apply", *DRY, *(one.taken for one in CHANGES))
    with pytest.raises(KubectlError) as caught:
        operated.give("apply", *DRY, *(one.refused for one in CHANGES))
    told = refusals(str(caught.value))
    for one in CHANGES:
        assert one.rule.what in told[one.rule.kind, one.refused["metadata"]["name"]]


# OP-5
def test_the_samples_become_a_collection_that_is_ready_and_counts_its_documents(
    operated: Operated,
) -> None:
    operated.wait("handbook", "condition=Ready")
    operated.door().upload("handbook", *HANDBOOK)
    operated.wait(
        "handbook",
        f"jsonpath={{.status.documents.indexed}}={len(HANDBOOK)}",
        "jsonpath={.status.ingestion.backlog}=0",
    )
    shown = operated.kubectl("get", "ragc", "handbook").splitlines()[-1].split()
    assert shown[0] == "handbook"
    assert str(len(HANDBOOK)) in shown


def test_a_worse_encoder_is_refused_and_a_better_one_takes_over(operated: Operated) -> None:
    golden = {"name": "handbook-golden"}  # that of the samples
    operated.apply(
        operated.collection(
            "guide",
            encoder=WORSE,
            evaluation={"goldenQueries": {"configMapRef": golden}},
            migration=AT_ONCE,
        ),
    )
    operated.wait("guide", "condition=Ready")
    operated.door().upload("guide", *HANDBOOK)
    before = {name: operated.status(name)["activeVersion"] for name in ("handbook", "guide")}
    wanted = {
        "handbook": operated.patch("handbook", encoder=WORSE, migration=AT_ONCE),
        "guide": operated.patch("guide", encoder=MODEL),
    }
    for name, condition in (("handbook", "Stalled"), ("guide", "Ready")):
        operated.wait(
            name,
            f"jsonpath={{.status.observedGeneration}}={wanted[name]}",
            f"condition={condition}",
            seconds=120,
        )
    assert operated.reason("handbook", "Stalled") == "QualityGateFailed"
    assert operated.status("handbook")["weights"] == [
        {"version": before["handbook"], "weight": 100}
    ]
    assert version_that_answers(operated.door(), "handbook") == before["handbook"]
    found = operated.status("guide")
    assert found["activeVersion"] != before["guide"]
    assert found["weights"] == [{"version": found["activeVersion"], "weight": 100}]
    assert version_that_answers(operated.door(), "guide") == found["activeVersion"]
    assert operated.reason("guide", "QualityOK") in {"Passed", "Kept"}


def version_that_answers(door: Door, collection: str) -> str:
    """The index version in which a question is looked up."""
    found = door.call("POST", f"/collections/{collection}/search", {"query": "Who is on call?"})
    assert found["hits"]
    return str(found["index_version"])


# OP-2
def test_a_killed_operator_is_followed_by_one_that_goes_on_within_half_a_minute(
    operated: Operated,
) -> None:
    before, here = operated.pod["metadata"]["name"], operated.operator.namespace
    words = ("--grace-period=0", "--force", "--wait=false")
    here.kubectl.run("delete", "pod", before, "-n", here.name, *words)
    generation = operated.patch("handbook", defaultAccess="restricted")
    operated.wait("handbook", f"jsonpath={{.status.appliedGeneration}}={generation}", seconds=30)
    assert operated.pod["metadata"]["name"] != before


# OP-2; `make soak-cluster` has it sleep for a minute
def test_an_operator_that_wakes_beside_its_successor_changes_nothing(operated: Operated) -> None:
    here = operated.operator.namespace
    ready = ("--for=condition=Available", "--timeout=60s")
    here.kubectl.run("wait", DEPLOYMENT, "-n", here.name, *ready)
    process = process_of(operated.pod)
    if process is None:
        pytest.skip("the cluster's node is not this machine")
    wake = wake_beside_its_successor(operated, process, "handbook", defaultAccess="open")
    assert wake.changed == [], wake.settled


# OP-4
def test_what_is_changed_behind_a_resource_is_put_right_within_a_minute_and_told(
    operated: Operated,
) -> None:
    operated.apply(operated.collection("drifting", encoder=MODEL, deletionPolicy="Delete"))
    operated.wait("drifting", "condition=Ready")
    door = operated.door()
    change_behind(door, "drifting", "PATCH", {"default_access": "restricted"})
    assert await_condition(lambda: access_of(door, "drifting") == "open", DRIFT_SECONDS)
    change_behind(door, "drifting", "DELETE")
    assert await_condition(lambda: access_of(door, "drifting") == "open", DRIFT_SECONDS)
    assert "DriftCorrected" in operated.told("RAGCollection", "drifting")
    operated.wait("drifting", "condition=Ready")


def change_behind(door: Door, name: str, method: str, body: object = None) -> None:
    """Take a collection from its resource, and change it before the operator has it back."""
    for _ in range(3):
        door.call("POST", f"/collections/{name}:release", {"reason": "a test"})
        reply = door.ask(method, f"/collections/{name}", body)
        if reply.is_success:
            return
        assert reply.json()["reason"] == "COLLECTION_KEPT", reply.text  # the operator was faster
    raise AssertionError(f"{name} is kept all the time")


def access_of(door: Door, name: str) -> str:
    """Who sees documents of a collection by default; empty = there is no such collection."""
    found = {one["name"]: one for one in door.call("GET", "/collections")["collections"]}
    return str(found[name]["default_access"]) if name in found else ""


# OP-7
def test_a_deleted_resource_takes_its_documents_along_and_holds_no_namespace_up(
    operated: Operated, kubectl: Kubectl
) -> None:
    make_held(operated, "passing")
    operated.kubectl("delete", "ragc", "passing", "--timeout=30s")
    assert access_of(operated.door(), "passing") == ""
    with own_namespace(kubectl) as other:
        make_held(replace(operated, team=other), "passing")
        assert seconds_to_end(other) <= END_SECONDS
        assert access_of(operated.door(), "passing") == ""


# OP-7
def test_uninstalling_the_operator_leaves_nothing_and_no_resource_or_namespace_hangs(
    operated: Operated, kubectl: Kubectl
) -> None:
    here = operated.operator.namespace
    kept = {**embedded_values(operated.mesh), "crds": {"keep": True}}  # as it is by default
    operated.operator.upgrade(kept)
    own = f"--selector=app.kubernetes.io/instance={operated.operator.name}"
    try:
        with own_namespace(kubectl) as other:
            make_held(replace(operated, team=other), "first")
            make_held(operated, "last")
            begun = time.monotonic()
            operated.operator.uninstall()
            left = here.objects() - {"secret/identity"}
            assert await_condition(lambda: here.objects() <= {"secret/identity"}, 30), left
            operated.kubectl("delete", "ragc", "last", "--timeout=10s")
            seconds_to_end(other, here)
            assert time.monotonic() - begun <= END_SECONDS
        assert kubectl.run("get", "clusterroles,clusterrolebindings", own, "--output=name") == ""
    finally:
        kubectl.run("delete", "crds", own, "--ignore-not-found", "--timeout=60s")
    assert access_of(operated.door(), "last") == "open"


def make_held(operated: Operated, name: str) -> None:
    """A resource that the operator's finalizer holds."""
    operated.apply(operated.collection(name, encoder=MODEL, deletionPolicy="Delete"))
    operated.wait(name, "condition=Ready")
    assert operated.read(name)["metadata"]["finalizers"] == ["ragmesh.dev/collection"]


def seconds_to_end(*namespaces: Namespace) -> float:
    """Delete namespaces as people do; how long it took."""
    begun = time.monotonic()
    names = [one.name for one in namespaces]
    kubectl = namespaces[0].kubectl
    kubectl.run("delete", "namespace", *names, f"--timeout={END_SECONDS}s")
    seconds = time.monotonic() - begun
    print(f"{len(names)} namespaces were gone after {seconds:.1f} s")
    return seconds
