"""What is applied by kustomize is whole, valid for Kubernetes, and hardened like a chart's pods."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.charts.checks import assert_restricted, assert_taken
from tests.charts.rendering import Manifest, of_kind
from tests.docs.pages import page
from tools.charts.kinds import supported_versions
from tools.generate_protos import ROOT
from tools.programs.table import KUBECTL

pytestmark = pytest.mark.charts

COMPONENT = "k8s/components/collector"


def built(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` makes of a folder."""
    ran = subprocess.run(
        [KUBECTL.fetch(), "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return [found for found in yaml.safe_load_all(ran.stdout) if found]


@pytest.fixture
def collectors(tmp_path: Path) -> list[Manifest]:
    """The collectors, by the overlay that the documentation has."""
    (overlay,) = (
        block.text
        for block in page("docs/how-to/watch-with-prometheus.md").blocks
        if COMPONENT in block.text
    )
    there = os.path.relpath(ROOT / COMPONENT, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(overlay.replace(COMPONENT, there))
    return built(tmp_path)


@pytest.fixture
def servers() -> list[Manifest]:
    """Those of a developer's cluster."""
    return built(ROOT / "k8s" / "dev")


def test_the_overlay_of_the_documentation_says_where_traces_are_kept(
    collectors: list[Manifest],
) -> None:
    (gateway,) = of_kind(collectors, "Deployment")
    (source,) = gateway["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    kept = {one["metadata"]["name"]: one["data"] for one in of_kind(collectors, "ConfigMap")}
    assert kept[source["configMapRef"]["name"]] == {"TRACES_ENDPOINT": "tempo.tracing:4317"}
    assert {one["metadata"]["namespace"] for one in collectors} == {"ragmesh"}


@pytest.mark.parametrize("version", supported_versions())
def test_kubernetes_of_every_supported_version_takes_it(
    collectors: list[Manifest], servers: list[Manifest], version: str, tmp_path: Path
) -> None:
    assert_taken([*collectors, *servers], version, tmp_path)


def test_no_pod_may_do_what_restricted_forbids(
    collectors: list[Manifest], servers: list[Manifest]
) -> None:
    assert_restricted([*collectors, *servers])
