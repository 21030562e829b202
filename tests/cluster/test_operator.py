"""The operator by its chart, on a real cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import SMALL, own_namespace
from tests.cluster.operated import Operated, letting_in, operator_of, operator_values
from tests.cluster.releases import Namespace, Release
from tests.servers.operator.processes import scattering_endpoint
from tools.cluster.kubectl import Kubectl
from tools.generate_protos import ROOT
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SAMPLES = ROOT / "k8s" / "samples"
HANDBOOK = tuple(sorted((ROOT / "examples" / "handbook").iterdir()))
MODEL, WORSE = "all-MiniLM-L6-v2", "scattered"
ACME = "acme"
"""The tenant of the samples."""
AT_ONCE = {"canary": {"steps": []}, "soak": "2s"}


@pytest.fixture(scope="module")
def operated(kubectl: Kubectl, image: str, identity: Path, host: str) -> Iterator[Operated]:
    """A mesh of one pod, and the operator; the samples are applied."""
    with (
        scattering_endpoint(host) as url,
        own_namespace(kubectl) as rag,
        own_namespace(kubectl) as here,
    ):
        rag.make_secret("identity", files=identity)
        mesh = Release(rag, "mesh", image, identity)
        mesh.install(mesh_values(url, operator=here))
        values = operator_values(f"{mesh.fullname}-embedded-internal.{rag.name}")
        with operator_of(mesh, here, ACME, values) as made:
            for sample in ("tenant", "golden", "collection"):
                made.kubectl("apply", f"--filename={SAMPLES / sample}.yaml")
            yield made


def mesh_values(url: str, *, operator: Namespace) -> dict[str, object]:
    """A mesh of one pod that this namespace may operate, with an encoder that is no good."""
    worse = {"url": url, "model": WORSE, "dimension": 384, "max_tokens": 256}
    encoders = [
        {"name": MODEL, "kind": "exact"},
        {"name": WORSE, "kind": "openai", "endpoint": worse},
    ]
    return {
        "identity": {"existingSecret": "identity"},
        "operator": letting_in(operator),
        "settings": {"embedding": {"encoders": encoders}},
        "embedded": SMALL,
    }


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
    found = operated.status("guide")
    assert found["activeVersion"] != before["guide"]
    assert found["weights"] == [{"version": found["activeVersion"], "weight": 100}]
    assert operated.reason("guide", "QualityOK") in {"Passed", "Kept"}


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


# OP-2
def test_an_operator_that_wakes_beside_its_successor_changes_nothing(operated: Operated) -> None:
    name, here = "operator-ragmesh-operator", operated.operator.namespace
    here.kubectl.run(
        *("wait", f"deployment/{name}", "-n", here.name, "--for=condition=Available"),
        "--timeout=60s",
    )
    frozen = process_of(operated.pod)
    os.kill(frozen, signal.SIGSTOP)
    try:
        generation = operated.patch("handbook", defaultAccess="open")
        here.kubectl.run("scale", f"deployment/{name}", "--replicas=2", "-n", here.name)
        applied = f"jsonpath={{.status.appliedGeneration}}={generation}"
        operated.wait("handbook", applied, seconds=45)
        time.sleep(6)  # more than a look of the one that is awake
        with operated.watching("handbook") as versions:
            os.kill(frozen, signal.SIGCONT)
            time.sleep(8)  # more than a look of both
            settled, *changed = versions()
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert changed == [], settled
    here.kubectl.run("scale", f"deployment/{name}", "--replicas=1", "-n", here.name)
    assert await_condition(lambda: len(here.pods("operator")) == 1, 60)


# OP-7
def test_a_deleted_resource_takes_its_documents_along_and_holds_no_namespace_up(
    operated: Operated, kubectl: Kubectl
) -> None:
    operated.apply(operated.collection("passing", encoder=MODEL, deletionPolicy="Delete"))
    operated.wait("passing", "condition=Ready")
    operated.kubectl("delete", "ragc", "passing", "--timeout=30s")
    names = [one["name"] for one in operated.door().call("GET", "/collections")["collections"]]
    assert "passing" not in names
    with own_namespace(kubectl) as other:
        team = replace(operated, team=other)
        team.apply(team.collection("passing", encoder=MODEL, deletionPolicy="Delete"))
        team.wait("passing", "condition=Ready")
        begun = time.monotonic()
        other.kubectl.run("delete", "namespace", other.name, "--timeout=60s")
        print(f"the namespace was gone after {time.monotonic() - begun:.1f} s")


# OP-7
def test_uninstalling_the_operator_leaves_nothing_and_no_namespace_hangs(
    operated: Operated,
) -> None:
    operated.apply(operated.collection("last", encoder=MODEL, deletionPolicy="Delete"))
    operated.wait("last", "condition=Ready")
    here, kubectl = operated.operator.namespace, operated.team.kubectl
    operated.operator.uninstall()
    left = here.objects() - {"secret/identity"}
    assert await_condition(lambda: here.objects() <= {"secret/identity"}, 30), left
    own = f"--selector=app.kubernetes.io/instance={operated.operator.name}"
    kinds = "clusterroles,clusterrolebindings,crds"
    assert kubectl.run("get", kinds, own, "--output=name") == ""
    names = [one["name"] for one in operated.door().call("GET", "/collections")["collections"]]
    assert "last" in names


def process_of(pod: dict[str, Any]) -> int:
    """The process of a pod with one container, which runs on this machine."""
    uid = pod["metadata"]["uid"]
    found = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and _is_of(folder, uid) and b"ragmesh-operator" in _words(folder)
    ]
    if not found:
        pytest.skip("the cluster's node is not this machine")
    return found[0]


def _is_of(folder: Path, uid: str) -> bool:
    try:
        told = (folder / "cgroup").read_text()
    except OSError:
        return False
    return uid in told or uid.replace("-", "_") in told


def _words(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""
