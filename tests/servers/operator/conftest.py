"""One API server, one mesh and one operator for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragmesh_operator.schemas import KINDS, definition
from tests.servers.operator.api_server import KubeServer, kube_server
from tests.servers.operator.processes import (
    RunningMesh,
    running_mesh,
    scattering_endpoint,
    start_operator,
)
from tools.processes import Process


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
def operator_log(servers_folder: Path) -> Path:
    return servers_folder / "operator.log"


@pytest.fixture
def operator(kube: KubeServer, mesh: RunningMesh, operator_log: Path) -> Iterator[Process]:
    process = start_operator(mesh, kube.kubeconfig(), operator_log)
    try:
        yield process
    finally:
        if process.runs:
            process.kill()
        print(operator_log.read_text()[-6000:])
