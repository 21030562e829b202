"""One API server, one mesh and one operator for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragmesh_operator.schemas import KINDS, definition
from tests.charts.rendering import OPERATOR_CHART, Example, Manifest, of_kind, rendered
from tests.servers.operator.api_server import NARROW, OPERATOR, KubeServer, kube_server
from tests.servers.operator.processes import (
    RunningMesh,
    RunningOperator,
    running_mesh,
    scattering_endpoint,
)

CLUSTER = Example("operator", OPERATOR_CHART)
NAMESPACED = Example("operator-namespaced", OPERATOR_CHART)


@pytest.fixture(scope="session")
def kube(servers_folder: Path) -> Iterator[KubeServer]:
    with kube_server(servers_folder / "kube") as server:
        made = server.apply(*(definition(kind) for kind in KINDS))
        assert made.returncode == 0, made.stderr
        names = [f"crd/{kind.plural}.ragmesh.dev" for kind in KINDS]
        waited = server.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        assert waited.returncode == 0, waited.stderr
        yield server


@pytest.fixture(scope="session")
def mesh(servers_folder: Path) -> Iterator[RunningMesh]:
    with scattering_endpoint() as url:
        worse = {"url": url, "model": "scatter", "dimension": 384, "max_tokens": 256}
        encoders = (
            "    - {name: exact, kind: exact}\n    - {name: fast, kind: fast}\n"
            f"    - {{name: scattered, kind: openai, endpoint: {json.dumps(worse)}}}\n"
        )
        with running_mesh(servers_folder / "operated", encoders) as running:
            yield running


@pytest.fixture(scope="session")
def operator(
    kube: KubeServer, mesh: RunningMesh, servers_folder: Path
) -> Iterator[RunningOperator]:
    """One that may do what the chart allows it, and no more."""
    allow(kube, "operator", rendered(CLUSTER.values, chart=CLUSTER.chart))
    log = servers_folder / "operator.log"
    with running_operator(RunningOperator(mesh, kube.kubeconfig(OPERATOR), log)) as running:
        yield running


@pytest.fixture
def narrow_operator(
    kube: KubeServer, mesh: RunningMesh, operator: RunningOperator, servers_folder: Path
) -> Iterator[RunningOperator]:
    """One of two namespaces that has no right beyond them, while the other is away."""
    values = NAMESPACED.values
    places = (*values["namespaces"], values["workers"]["namespace"])
    made = kube.apply(*(namespace(name) for name in places))
    assert made.returncode == 0, made.stderr
    allow(kube, "narrow", rendered(values, chart=NAMESPACED.chart))
    operator.kill()
    log = servers_folder / "narrow.log"
    narrow = RunningOperator(mesh, kube.kubeconfig(NARROW), log, tuple(values["namespaces"]))
    with running_operator(narrow) as running:
        yield running
    operator.start()


@contextmanager
def running_operator(operator: RunningOperator) -> Iterator[RunningOperator]:
    """An operator for the time of a block; each line that it tells is a record."""
    operator.start()
    try:
        yield operator
    finally:
        operator.kill()
        told = operator.log.read_text()
        print(told[-6000:])
    assert [line for line in told.splitlines() if not line.startswith("{")] == []


def allow(kube: KubeServer, user: str, manifests: list[Manifest]) -> None:
    """Give a user the rights that manifests give to a service account, but those on its release."""
    bindings = of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
    subjects = [{"kind": "User", "name": user}]
    roles = of_kind(manifests, "Role", "ClusterRole")
    own = [one for one in (*roles, *bindings) if one["metadata"].get("namespace") != "rag"]
    made = kube.apply(*(one | {"subjects": subjects} if "roleRef" in one else one for one in own))
    assert made.returncode == 0, made.stderr


def namespace(name: str) -> Manifest:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
