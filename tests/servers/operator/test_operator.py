"""The operator on a real API server, with the rights of its chart, beside a mesh of one process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.operator.api_server import KubeServer
from tests.servers.operator.processes import RunningMesh, RunningOperator
from tests.servers.operator.resources import collection, patch, reason, status, wait
from tools.generate_protos import ROOT

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]
GOLDEN = ROOT / "examples" / "golden.jsonl"


@pytest.fixture(scope="module")
def handbook(kube: KubeServer, mesh: RunningMesh, operator: RunningOperator) -> str:
    """A collection with documents, and with questions that it is judged by."""
    made = kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "golden", "namespace": "default"},
            "data": {"golden.jsonl": GOLDEN.read_text(encoding="utf-8")},
        },
        collection(
            "handbook",
            encoder="exact",
            evaluation={"goldenQueries": {"configMapRef": {"name": "golden"}}},
            migration={"canary": {"steps": []}, "soak": "2s"},
        ),
    )
    assert made.returncode == 0, made.stderr
    wait(kube, "handbook", "Ready")
    mesh.cli("documents", "add", ROOT / "examples" / "handbook", "-c", "handbook")
    return "handbook"


def test_a_resource_becomes_a_collection_that_is_ready(
    kube: KubeServer, mesh: RunningMesh, handbook: str
) -> None:
    assert handbook in mesh.cli("collections", "list")
    shown = kube.kubectl("get", "ragc", handbook).stdout
    assert "ACTIVE" in shown
    assert status(kube, handbook)["activeVersion"] in shown


def test_a_worse_encoder_is_refused_and_the_index_before_answers_on(
    kube: KubeServer, handbook: str
) -> None:
    before = status(kube, handbook)["activeVersion"]
    patch(kube, handbook, encoder="scattered")
    wait(kube, handbook, "Stalled")
    found = status(kube, handbook)
    assert reason(kube, handbook, "Stalled") == "QualityGateFailed"
    assert reason(kube, handbook, "QualityOK") == "CandidateRefused"
    assert found["activeVersion"] == before
    assert found["weights"] == [{"version": before, "weight": 100}]


def test_an_encoder_that_is_no_worse_takes_over(kube: KubeServer, handbook: str) -> None:
    before = status(kube, handbook)["activeVersion"]
    patch(kube, handbook, encoder="fast")
    wait(kube, handbook, "Ready")
    found = status(kube, handbook)
    assert found["activeVersion"] != before
    assert reason(kube, handbook, "QualityOK") in {"Passed", "Kept"}
    assert found["weights"] == [{"version": found["activeVersion"], "weight": 100}]


def test_it_owns_its_status_and_finalizer_and_leaves_all_else_to_others(  # OP-3
    kube: KubeServer, operator: RunningOperator
) -> None:
    kube.apply(collection("shared", encoder="exact", deletionPolicy="Delete"))
    noted = kube.kubectl("annotate", "ragc", "shared", "team=search")
    assert noted.returncode == 0, noted.stderr
    wait(kube, "shared", "Ready")
    metadata = kube.get("ragc", "shared", "--show-managed-fields")["metadata"]
    assert metadata["annotations"]["team"] == "search"
    own, others = set[str](), set[str]()
    for entry in metadata["managedFields"]:
        is_own = entry["manager"] == "ragmesh-operator"
        (own if is_own else others).update(leaves(entry["fieldsV1"]))
    assert not own & others
    places = {".".join(leaf.split(".")[:2]) for leaf in own}
    assert {place for place in places if not place.startswith("f:status.")} == {
        "f:metadata.f:finalizers"
    }


def leaves(fields: dict[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of the fields that a manager owns."""
    for name, inner in fields.items():
        place = f"{above}.{name}" if above else name
        if inner:
            yield from leaves(inner, place)
        else:
            yield place


def test_a_status_that_somebody_wrote_over_is_mended(  # OP-4
    kube: KubeServer, handbook: str
) -> None:
    before = status(kube, handbook)["activeVersion"]
    lie = json.dumps({"status": {"activeVersion": "v1-lie"}})
    said = kube.kubectl(
        *("patch", "ragc", handbook, "--subresource=status", "--type=merge", "--patch", lie)
    )
    assert said.returncode == 0, said.stderr
    mended = f"--for=jsonpath={{.status.activeVersion}}={before}"
    said = kube.kubectl("wait", mended, f"ragc/{handbook}", "--timeout=30s")
    assert said.returncode == 0, said.stderr


def test_what_was_asked_of_a_killed_operator_is_done_by_the_next(
    kube: KubeServer, mesh: RunningMesh, operator: RunningOperator
) -> None:
    kube.apply(collection("orphan", encoder="exact"))
    operator.kill()
    patch(kube, "orphan", defaultAccess="restricted")
    operator.start()
    wait(kube, "orphan", "Ready")
    found = kube.get("ragc", "orphan")
    assert found["status"]["appliedGeneration"] == found["metadata"]["generation"]
    assert "restricted" in mesh.cli("collections", "describe", "orphan")


def test_a_deleted_resource_takes_its_documents_along_if_it_says_so(
    kube: KubeServer, mesh: RunningMesh, operator: RunningOperator
) -> None:
    kube.apply(
        collection("passing", encoder="exact", deletionPolicy="Delete"),
        collection("staying", encoder="exact"),
    )
    for name in ("passing", "staying"):
        wait(kube, name, "Ready")
        said = kube.kubectl("delete", "ragc", name, "--timeout=30s")
        assert said.returncode == 0, said.stderr
    there = mesh.cli("collections", "list")
    assert "passing" not in there
    assert "staying" in there


def test_an_operator_that_leaves_holds_no_deletion_up(
    kube: KubeServer, mesh: RunningMesh, operator: RunningOperator
) -> None:
    kube.apply(collection("left", encoder="exact", deletionPolicy="Delete"))
    wait(kube, "left", "Ready")
    assert "ragmesh.dev/collection" in kube.get("ragc", "left")["metadata"]["finalizers"]
    operator.kill()
    try:
        began = time.monotonic()
        said = operator.leave()
        assert said.returncode == 0, said.stderr
        assert time.monotonic() - began < 30
        gone = kube.kubectl("delete", "ragc", "left", "--timeout=10s")
        assert gone.returncode == 0, gone.stderr
        assert "left" in mesh.cli("collections", "list")
    finally:
        operator.start()


def test_an_operator_of_some_namespaces_needs_no_right_beyond_them(  # OP-9
    kube: KubeServer, narrow_operator: RunningOperator
) -> None:
    within = collection("within", encoder="exact", deletionPolicy="Delete")
    within["metadata"]["namespace"] = "team-b"
    assert kube.apply(within, collection("beyond", encoder="exact")).returncode == 0
    said = kube.kubectl(
        *("wait", "--for=condition=Ready", "ragc/within", "--namespace=team-b", "--timeout=60s")
    )
    assert said.returncode == 0, said.stderr
    assert "status" not in kube.get("ragc", "beyond")
    gone = kube.kubectl("delete", "ragc", "within", "--namespace=team-b", "--timeout=30s")
    assert gone.returncode == 0, gone.stderr
