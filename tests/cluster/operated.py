"""Meshes with an operator, and what people ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.conftest import EMBEDDED, own_namespace
from tests.cluster.releases import Door, Namespace, Release
from tests.servers.operator.processes import scattering_endpoint
from tools.cluster.kubectl import Kubectl, KubectlError
from tools.generate_protos import ROOT
from tools.processes import await_condition

INDEXING = 50065
SAMPLES = ROOT / "k8s" / "samples"
HANDBOOK = tuple(sorted((ROOT / "examples" / "handbook").iterdir()))
MODEL, WORSE = "all-MiniLM-L6-v2", "scattered"
AT_ONCE = {"canary": {"steps": []}, "soak": "2s"}
"""A migration that waits for nobody."""
ACME = "acme"
"""The tenant of the samples."""


@dataclass(frozen=True)
class Operated:
    """A mesh, the operator in a namespace of its own, and one of people with resources."""

    mesh: Release
    operator: Release
    team: Namespace
    tenant: str

    def apply(self, *bodies: Mapping[str, Any]) -> None:
        """Have resources of the team."""
        self.give("apply", *bodies)

    def give(self, *words: str | Mapping[str, Any]) -> str:
        """Call kubectl with words, and with resources of the team."""
        items = [one for one in words if not isinstance(one, str)]
        told = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        asked = [one for one in words if isinstance(one, str)]
        return self.team.kubectl.run(*asked, "-n", self.team.name, "--filename=-", told=told)

    def collection(self, name: str, **spec: Any) -> dict[str, Any]:
        """A RAGCollection of the tenant."""
        return {
            "apiVersion": "ragmesh.dev/v1alpha1",
            "kind": "RAGCollection",
            "metadata": {"name": name},
            "spec": {"tenant": self.tenant, **spec},
        }

    def patch(self, name: str, **spec: Any) -> int:
        """Change what a collection should be; its generation from then on."""
        self.kubectl("patch", "ragc", name, "--type=merge", "--patch", json.dumps({"spec": spec}))
        generation: int = self.read(name)["metadata"]["generation"]
        return generation

    def wait(self, name: str, *whats: str, seconds: int = 60) -> None:
        """`kubectl wait` for each of them."""
        for what in whats:
            try:
                self.kubectl("wait", f"--for={what}", f"ragc/{name}", f"--timeout={seconds}s")
            except KubectlError as error:
                raise KubectlError(f"{error}: {json.dumps(self.status(name))}") from error

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

    def told(self, kind: str, name: str, namespace: Namespace | None = None) -> list[str]:
        """Reasons of the operator's events of an object."""
        asked = f"involvedObject.kind={kind},involvedObject.name={name},source=ragmesh-operator"
        place = (namespace or self.team).name
        words = ("events", "-n", place, f"--field-selector={asked}")
        return [one["reason"] for one in self.team.kubectl.read(*words)["items"]]

    @property
    def pod(self) -> dict[str, Any]:
        """That of the operator."""
        (found,) = self.operator.namespace.pods("operator")
        return found

    def door(self) -> Door:
        """As somebody who may do everything in the tenant."""
        return Door.of_admin(self.mesh).of_tenant(self.tenant)


@contextmanager
def operated_mesh(kubectl: Kubectl, image: str, identity: Path, host: str) -> Iterator[Operated]:
    """A mesh of one pod, and the operator; the samples are applied."""
    with (
        scattering_endpoint(host) as url,
        own_namespace(kubectl) as rag,
        own_namespace(kubectl) as here,
    ):
        rag.make_secret("identity", files=identity)
        mesh = Release(rag, "mesh", image, identity)
        mesh.install(_mesh_values(url, operator=here))
        with operator_of(mesh, here, ACME, embedded_values(mesh)) as made:
            for sample in ("tenant", "golden", "collection"):
                made.kubectl("apply", f"--filename={SAMPLES / sample}.yaml")
            yield made


def embedded_values(mesh: Release) -> dict[str, object]:
    """Those of an operator of a mesh of one pod."""
    return operator_values(f"{mesh.fullname}-embedded-internal.{mesh.namespace.name}")


def _mesh_values(url: str, *, operator: Namespace) -> dict[str, object]:
    """A mesh of one pod that this namespace may operate, with an encoder that is no good."""
    worse = {"url": url, "model": WORSE, "dimension": 384, "max_tokens": 256}
    encoders = [
        {"name": MODEL, "kind": "exact"},
        {"name": WORSE, "kind": "openai", "endpoint": worse},
    ]
    return {
        **EMBEDDED,
        "operator": letting_in(operator),
        "settings": {"embedding": {"encoders": encoders}},
    }


@contextmanager
def operator_of(
    mesh: Release,
    here: Namespace,
    tenant: str,
    values: Mapping[str, object],
    package: Path | None = None,
) -> Iterator[Operated]:
    """The operator in a namespace that the mesh lets in, for the time of the block."""
    here.make_secret("identity", files=mesh.identity)
    operator = Release(
        here, "operator", mesh.image, mesh.identity, chart="ragmesh-operator", package=package
    )
    with own_namespace(here.kubectl) as team, ExitStack() as stack:
        # What is of the whole cluster does not go with a namespace.
        stack.callback(operator.uninstall)
        operator.install(values)
        yield Operated(mesh, operator, team, tenant)


def operator_values(indexing: str) -> dict[str, object]:
    """An operator of all namespaces that looks often, and whose definitions go with it."""
    return {
        "mesh": {"indexing": f"{indexing}:{INDEXING}"},
        "identity": {"existingSecret": "identity"},
        "pace": {"settledSeconds": 5, "movingSeconds": 1},
        "crds": {"keep": False},
    }


def letting_in(operator: Namespace) -> dict[str, object]:
    """The mesh's `operator`, so that one of that namespace may call it."""
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": operator.name}}
    return {"enabled": True, "from": [{"namespaceSelector": namespace}]}


def _each_of(told: str) -> Iterator[dict[str, Any]]:
    """Objects that are written one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while told := told[place:].lstrip():
        one, place = decoder.raw_decode(told)
        yield one
