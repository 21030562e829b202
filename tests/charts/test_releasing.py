"""Charts of a release are kept as packages, once, and are what people would have installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.charts.rendering import CHART, examples, rendered
from tools.charts.releasing import (
    CHARTS,
    keep_release,
    last_release,
    refuse_release,
    version_of,
)
from tools.generate_protos import ROOT, ToolError

pytestmark = pytest.mark.charts


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    """Today's charts, as if they were released as 7.0.0."""
    source = tmp_path / "charts"
    shutil.copytree(ROOT / "charts", source, symlinks=True)
    shutil.copytree(ROOT / "k8s" / "crds", tmp_path / "k8s" / "crds")  # what a chart links to
    for told in source.glob("*/Chart.yaml"):
        lines = told.read_text(encoding="utf-8").splitlines()
        told.write_text("\n".join(_released(line) for line in lines), encoding="utf-8")
    return source


def _released(line: str) -> str:
    key, colon, _ = line.partition(":")
    is_version = key.strip() in {"version", "appVersion"}
    return f"{key}{colon} 7.0.0" if is_version else line


def test_what_is_kept_installs_as_the_charts_did(charts: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    keep_release("7.0.0", charts, kept)
    for chart in CHARTS:
        assert last_release(chart, kept) == kept / f"{chart}-7.0.0.tgz"
    package = last_release("ragmesh", kept)
    values = examples(CHART)[0].values
    assert rendered(values, chart=package) == rendered(values, chart=charts / "ragmesh")


def test_a_release_is_kept_once_and_only_as_what_its_charts_say(
    charts: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    with pytest.raises(ToolError, match=r"does not say version 7\.0\.1"):
        keep_release("7.0.1", charts, kept)
    refuse_release("7.0.0", charts, kept)
    assert not kept.exists()
    keep_release("7.0.0", charts, kept)
    for again in (refuse_release, keep_release):
        with pytest.raises(ToolError, match="released already"):
            again("7.0.0", charts, kept)


def test_the_last_release_is_that_of_the_highest_number(tmp_path: Path) -> None:
    for name in ("ragmesh-0.9.0", "ragmesh-0.10.0", "ragmesh-operator-3.0.0"):
        (tmp_path / f"{name}.tgz").touch()
    assert version_of("ragmesh", last_release("ragmesh", tmp_path)) == "0.10.0"
    with pytest.raises(ToolError, match="ragmesh-common was never released"):
        last_release("ragmesh-common", tmp_path)
