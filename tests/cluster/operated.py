"""Meshes with an operator, and what people ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.conftest import own_namespace
from tests.cluster.releases import Door, Namespace, Release
from tools.cluster.kubectl import KubectlError
from tools.processes import await_condition

INDEXING = 50065


@dataclass(frozen=True)
class Operated:
    """A mesh, the operator in a namespace of its own, and one of people with resources."""

    mesh: Release
    operator: Release
    team: Namespace
    tenant: str

    def apply(self, *bodies: dict[str, Any]) -> None:
        """Have resources of the team."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        self.team.kubectl.run(
            *("apply", "-n", self.team.name, "--filename=-"), told=json.dumps(listed)
        )

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

    @property
    def pod(self) -> dict[str, Any]:
        """That of the operator."""
        (found,) = self.operator.namespace.pods("operator")
        return found

    def door(self) -> Door:
        """As somebody who may do everything in the tenant."""
        return Door.of_admin(self.mesh).of_tenant(self.tenant)


@contextmanager
def operator_of(
    mesh: Release, here: Namespace, tenant: str, values: Mapping[str, object]
) -> Iterator[Operated]:
    """The operator in a namespace that the mesh lets in, for the time of the block."""
    here.make_secret("identity", files=mesh.identity)
    operator = Release(here, "operator", mesh.image, mesh.identity, chart="ragmesh-operator")
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
