"""The operator by its chart, on a real cluster."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import SMALL, own_namespace
from tests.cluster.releases import Door, Namespace, Release
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
INDEXING = 50065


@dataclass(frozen=True)
class Operated:
    """A mesh, the operator in a namespace of its own, and one of people with resources."""

    mesh: Release
    operator: Release
    team: Namespace

    def apply(self, *bodies: dict[str, Any]) -> None:
        """Have resources of the team."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        self.team.kubectl.run(
            *("apply", "-n", self.team.name, "--filename=-"), told=json.dumps(listed)
        )

    def patch(self, name: str, **spec: Any) -> int:
        """Change what a collection should be; its generation from then on."""
        self.kubectl("patch", "ragc", name, "--type=merge", "--patch", json.dumps({"spec": spec}))
        generation: int = self.read(name)["metadata"]["generation"]
        return generation

    def wait(self, name: str, *whats: str, seconds: int = 60) -> None:
        """`kubectl wait` for each of them."""
        for what in whats:
            self.kubectl("wait", f"--for={what}", f"ragc/{name}", f"--timeout={seconds}s")

    def read(self, name: str) -> dict[str, Any]:
        return self.team.kubectl.read("ragc", name, "-n", self.team.name)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.read(name)["status"]
        return found

    def reason(self, name: str, condition: str) -> str:
        told = {one["type"]: one["reason"] for one in self.status(name)["conditions"]}
        reason: str = told[condition]
        return reason

    def kubectl(self, *words: str) -> str:
        return self.team.kubectl.run(*words, "-n", self.team.name)

    @contextmanager
    def watching(self, name: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """The collection as it is, and every version of it that comes in the block."""
        words = ("ragc", name, "-n", self.team.name, "--output=json", "--show-managed-fields")
        with self.team.kubectl.following("get", *words, "--watch") as told:
            assert await_condition(lambda: bool(told()), 10)
            yield lambda: list(_each_of(told()))

    @property
    def pod(self) -> dict[str, Any]:
        """That of the operator."""
        (found,) = self.operator.namespace.pods("operator")
        return found

    def door(self) -> Door:
        """As somebody who may do everything in the tenant of the samples."""
        return Door.of_admin(self.mesh).of_tenant(ACME)


def collection(name: str, **spec: Any) -> dict[str, Any]:
    """A RAGCollection of the team."""
    metadata = {"name": name}
    spec = {"tenant": ACME, "encoder": MODEL, **spec}
    return {
        "apiVersion": "ragmesh.dev/v1alpha1",
        "kind": "RAGCollection",
        "metadata": metadata,
        "spec": spec,
    }


@pytest.fixture(scope="module")
def operated(kubectl: Kubectl, image: str, identity: Path, host: str) -> Iterator[Operated]:
    """A mesh of one pod, and the operator; the samples are applied."""
    with (
        scattering_endpoint(host) as url,
        own_namespace(kubectl) as rag,
        own_namespace(kubectl) as here,
        own_namespace(kubectl) as team,
        ExitStack() as stack,
    ):
        for namespace in (rag, here):
            namespace.make_secret("identity", files=identity)
        mesh = Release(rag, "mesh", image, identity)
        mesh.install(mesh_values(url, operator=here.name))
        operator = Release(here, "operator", image, identity, chart="ragmesh-operator")
        # What is of the whole cluster does not go with a namespace.
        stack.callback(operator.uninstall)
        operator.install(operator_values(f"{mesh.fullname}-embedded-internal.{rag.name}"))
        made = Operated(mesh, operator, team)
        for sample in ("tenant", "golden", "collection"):
            made.kubectl("apply", f"--filename={SAMPLES / sample}.yaml")
        yield made


def mesh_values(url: str, *, operator: str) -> dict[str, object]:
    """A mesh of one pod that this namespace may operate, with an encoder that is no good."""
    worse = {"url": url, "model": WORSE, "dimension": 384, "max_tokens": 256}
    encoders = [
        {"name": MODEL, "kind": "exact"},
        {"name": WORSE, "kind": "openai", "endpoint": worse},
    ]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": operator}}
    return {
        "identity": {"existingSecret": "identity"},
        "operator": {"enabled": True, "from": [{"namespaceSelector": namespace}]},
        "settings": {"embedding": {"encoders": encoders}},
        "embedded": SMALL,
    }


def operator_values(indexing: str) -> dict[str, object]:
    """An operator of all namespaces that looks often, and whose definitions go with it."""
    return {
        "mesh": {"indexing": f"{indexing}:{INDEXING}"},
        "identity": {"existingSecret": "identity"},
        "pace": {"settledSeconds": 5, "movingSeconds": 1},
        "crds": {"keep": False},
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
        collection(
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
    operated.apply(collection("passing", deletionPolicy="Delete"))
    operated.wait("passing", "condition=Ready")
    operated.kubectl("delete", "ragc", "passing", "--timeout=30s")
    names = [one["name"] for one in operated.door().call("GET", "/collections")["collections"]]
    assert "passing" not in names
    with own_namespace(kubectl) as other:
        team = Operated(operated.mesh, operated.operator, other)
        team.apply(collection("passing", deletionPolicy="Delete"))
        team.wait("passing", "condition=Ready")
        begun = time.monotonic()
        other.kubectl.run("delete", "namespace", other.name, "--timeout=60s")
        print(f"the namespace was gone after {time.monotonic() - begun:.1f} s")


# OP-7
def test_uninstalling_the_operator_leaves_nothing_and_no_namespace_hangs(
    operated: Operated,
) -> None:
    operated.apply(collection("last", deletionPolicy="Delete"))
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


def _each_of(told: str) -> Iterator[dict[str, Any]]:
    """Objects that are written one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while told := told[place:].lstrip():
        one, place = decoder.raw_decode(told)
        yield one


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
