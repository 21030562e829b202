"""What the checks of charts share: the manifests of every example, rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.charts.rendering import EXAMPLES, Manifest, example, rendered

NAMES = tuple(path.name.removesuffix("-values.yaml") for path in sorted(EXAMPLES.iterdir()))
"""Examples of values that are kept beside the chart."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each example."""
    found: str = request.param
    return found


@pytest.fixture
def manifests(name: str) -> list[Manifest]:
    """What Helm makes of it."""
    return rendered(example(name))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs find manifests."""
    return tmp_path_factory.mktemp("charts")
