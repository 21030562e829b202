"""What is asked of manifests, whoever has made them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.charts.rendering import Manifest, pods, write_manifests
from tools.charts.kinds import LOCATION, fetch_schemas
from tools.programs.table import KUBECONFORM


def assert_taken(manifests: Iterable[Manifest], version: str, folder: Path) -> None:
    """A Kubernetes of that version takes all of it."""
    path = write_manifests(manifests, folder / "manifests.yaml")
    location = f"{fetch_schemas()}/{version}/{LOCATION}"
    ran = subprocess.run(
        [KUBECONFORM.fetch(), "-strict", "-schema-location", location, path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def assert_restricted(manifests: Iterable[Manifest]) -> None:
    """No pod may do what Pod Security `restricted` forbids, or is told of Services."""
    for pod in pods(manifests):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
