"""One API server, one mesh and one operator for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragmesh_operator.schemas import KINDS, definition
from tests.charts.rendering import OPERATOR_CHART, Example, Manifest, of_kind, rendered
from tests.servers.operator.api_server import OPERATOR, KubeServer, kube_server
from tests.servers.operator.processes import (
    RunningMesh,
    RunningOperator,
    running_mesh,
    scattering_endpoint,
)

CLUSTER = Example("operator", OPERATOR_CHART)


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
    roles = of_kind(rendered(CLUSTER.values, chart=CLUSTER.chart), "ClusterRole")
    made = kube.apply(*roles, *(_bound(role) for role in roles))
    assert made.returncode == 0, made.stderr
    running = RunningOperator(mesh, kube.kubeconfig(OPERATOR), servers_folder / "operator.log")
    running.start()
    try:
        yield running
    finally:
        running.kill()
        told = running.log.read_text()
        print(told[-6000:])
    assert [line for line in told.splitlines() if not line.startswith("{")] == []


def _bound(role: Manifest) -> Manifest:
    reference = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": role["metadata"]["name"],
    }
    return {
        "apiVersion": role["apiVersion"],
        "kind": "ClusterRoleBinding",
        "metadata": role["metadata"],
        "roleRef": reference,
        "subjects": [{"kind": "User", "name": "operator"}],
    }
