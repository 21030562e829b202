"""The operator on a real API server, with a real mesh of one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.operator.api_server import KubeServer
from tests.servers.operator.processes import RunningMesh
from tools.processes import Process

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def collection(name: str, **spec: Any) -> dict[str, Any]:
    """A RAGCollection."""
    return {
        "apiVersion": "ragmesh.dev/v1alpha1",
        "kind": "RAGCollection",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def wait(kube: KubeServer, name: str, condition: str, seconds: int = 60) -> None:
    """Return once kubectl says that the condition holds."""
    said = kube.kubectl(
        "wait", f"--for=condition={condition}", f"ragc/{name}", f"--timeout={seconds}s"
    )
    assert said.returncode == 0, said.stderr + json.dumps(kube.get("ragc", name))


def test_a_resource_becomes_a_collection_that_is_ready(
    kube: KubeServer, mesh: RunningMesh, operator: Process, operator_log: Path
) -> None:
    assert kube.apply(collection("first", encoder="exact")).returncode == 0
    wait(kube, "first", "Ready", 90)
    assert "first" in mesh.cli("collections", "list")
    shown = kube.kubectl("get", "ragc", "first").stdout
    assert "ACTIVE" in shown
    assert "v1-" in shown
