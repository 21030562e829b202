"""What the checks of charts share: the manifests of every example, rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.charts.rendering import (
    CHART,
    OPERATOR_CHART,
    Example,
    Manifest,
    examples,
    rendered,
)

EXAMPLES = (*examples(CHART), *examples(OPERATOR_CHART))
"""Values that are kept beside charts."""


@pytest.fixture(params=EXAMPLES, ids=str)
def example_of_any(request: pytest.FixtureRequest) -> Example:
    """Each example of each chart."""
    found: Example = request.param
    return found


@pytest.fixture
def any_manifests(example_of_any: Example) -> list[Manifest]:
    """What Helm makes of it."""
    return rendered(example_of_any.values, chart=example_of_any.chart)


@pytest.fixture(params=examples(CHART), ids=str)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """What Helm makes of each example of a mesh."""
    return rendered(request.param.values)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs find manifests."""
    return tmp_path_factory.mktemp("charts")
