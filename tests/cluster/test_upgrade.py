"""A mesh of the last release is upgraded, and finds what it found before."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.cluster.conftest import SMALL
from tests.cluster.releases import Door, HelmError, Namespace, Release
from tools.charts.releasing import last_release, version_of
from tools.cluster.kubectl import Kubectl
from tools.cluster.layout import Layout
from tools.cluster.node import import_image
from tools.generate_protos import ROOT
from tools.image.builders import find_builder
from tools.image.building import DEBIAN, have_image
from tools.image.recipe import Recipe, find_commit, is_shallow
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LAST_CHART = last_release("ragmesh")
"""None before a chart was released: then today's chart installs the last release's image."""
LAST_RELEASE = "v" + ("0.1.0" if LAST_CHART is None else version_of("ragmesh", LAST_CHART))
QUESTIONS = 50
_PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)


@pytest.fixture
def last_image(kubectl: Kubectl) -> str:
    """The image of the last release, which is built out of the history."""
    if find_commit(LAST_RELEASE) is None and is_shallow():
        pytest.skip(f"NOT SHOWN: this clone is shallow and does not reach back to {LAST_RELEASE}")
    built = have_image(find_builder("buildah"), Recipe(base=DEBIAN), LAST_RELEASE)
    import_image(Layout(kubectl.kubeconfig.parent.parent), built.archive)
    return built.reference


# HM-6, and a downgrade over a migration is refused
def test_the_last_release_is_upgraded_with_its_data_and_does_not_start_on_newer_data(
    namespace: Namespace, image: str, identity: Path, last_image: str
) -> None:
    namespace.make_secret("identity", files=identity)
    values = {"identity": {"existingSecret": "identity"}, "embedded": SMALL}
    now = Release(namespace, "old", image, identity)
    last = replace(now, image=last_image, package=LAST_CHART)
    last.install(values)
    door = Door.of(last)
    _fill(door)
    before = _top(door)

    now.upgrade(values)
    assert _top(door) == before

    with pytest.raises(HelmError):
        last.helm("rollback", last.name, "--wait", "--timeout=45s")
    assert await_condition(lambda: "DATA_FROM_NEWER_VERSION" in _said(last), 60), _said(last)

    now.upgrade(values)
    assert _top(door) == before


def _fill(door: Door) -> None:
    door.fill("pages", {path.stem: path.read_text(encoding="utf-8") for path in _PAGES})


def _top(door: Door) -> list[list[str]]:
    """The chunks that are found first, for each of the questions."""
    headings = (title for path in _PAGES for title in _HEADING.findall(path.read_text()))
    questions = list(islice(headings, QUESTIONS))
    assert len(questions) == QUESTIONS
    return door.top("pages", questions)


def _said(release: Release) -> str:
    """The last lines of the mesh's pod, or of the one that it was before it ended."""
    namespace = release.namespace
    (pod, *_) = namespace.pods("embedded")
    name = pod["metadata"]["name"]
    lines = ("logs", name, "-n", namespace.name, "--tail=5")
    return namespace.kubectl.run(*lines) + (
        namespace.kubectl.run(*lines, "--previous")
        if any(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
        else ""
    )
