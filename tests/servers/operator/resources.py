"""Resources as tests apply them, and waiting for what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.operator.api_server import KubeServer


def collection(name: str, **spec: Any) -> dict[str, Any]:
    """A RAGCollection."""
    return {
        "apiVersion": "ragmesh.dev/v1alpha1",
        "kind": "RAGCollection",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def patch(kube: KubeServer, name: str, **spec: Any) -> None:
    """Change what a collection should be."""
    said = kube.kubectl(
        "patch", "ragc", name, "--type=merge", "--patch", json.dumps({"spec": spec})
    )
    assert said.returncode == 0, said.stderr


def wait(kube: KubeServer, name: str, condition: str, seconds: int = 60) -> None:
    """Return once kubectl says that the condition holds of the resource as it is now."""
    generation = kube.get("ragc", name)["metadata"]["generation"]
    for what in (
        f"jsonpath={{.status.observedGeneration}}={generation}",
        f"condition={condition}",
    ):
        said = kube.kubectl("wait", f"--for={what}", f"ragc/{name}", f"--timeout={seconds}s")
        assert said.returncode == 0, said.stderr + json.dumps(kube.get("ragc", name))


def status(kube: KubeServer, name: str) -> dict[str, Any]:
    """What became of it."""
    found: dict[str, Any] = kube.get("ragc", name)["status"]
    return found


def reason(kube: KubeServer, name: str, condition: str) -> str:
    """Why a condition is as it is."""
    (found,) = (one for one in status(kube, name)["conditions"] if one["type"] == condition)
    told: str = found["reason"]
    return told
