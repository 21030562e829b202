"""A mesh of an older release is upgraded and finds what it found, and goes back if it can."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from tests.cluster.conftest import EMBEDDED, LAST_CHART, image_of_release, own_namespace
from tests.cluster.operated import MODEL, Operated, embedded_values, letting_in, operator_of
from tests.cluster.releases import Door, HelmError, Namespace, Release
from tools.charts.releasing import last_release
from tools.generate_protos import ROOT
from tools.processes import await_condition

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

BEFORE_A_MIGRATION = "0.1.0"
"""The release whose catalog has not the schema of today; there was no chart of it."""
TENANT, KEPT = "acme", "kept"
QUESTIONS = 50
_PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)


@pytest.fixture
def now(namespace: Namespace, image: str, identity: Path) -> Release:
    """An embedded mesh of today, not installed."""
    namespace.make_secret("identity", files=identity)
    return Release(namespace, "old", image, identity)


# HM-6
def test_the_last_release_is_upgraded_with_its_data_and_resources_and_goes_back(
    now: Release, last_image: str
) -> None:
    last = replace(now, image=last_image, package=LAST_CHART)
    with own_namespace(now.namespace.kubectl) as here:
        values = {**EMBEDDED, "operator": letting_in(here)}
        last.install(values)
        admin = Door.of_admin(now)
        admin.call("POST", "/tenants", {"name": TENANT})
        door = admin.of_tenant(TENANT)
        _fill(door)
        before = _top(door)
        own = embedded_values(now)
        with operator_of(last, here, TENANT, own, last_release("ragmesh-operator")) as operated:
            operated.apply(operated.collection(KEPT, encoder=MODEL))
            operated.wait(KEPT, "condition=Ready")
            operator = replace(operated.operator, image=now.image, package=None)

            now.upgrade(values)
            operator.upgrade(own)
            _assert_carried_out(operated, defaultAccess="restricted")
            assert _top(door) == before

            for release in (operator, now):
                release.helm("rollback", release.name, "--wait", "--timeout=120s")
            _assert_carried_out(operated, defaultAccess="open")
            assert _top(door) == before


# The "downgrade over a migration"; that of a distributed mesh is in test_mesh
@pytest.mark.soak
def test_a_release_from_before_a_migration_is_upgraded_and_does_not_start_on_newer_data(
    now: Release,
) -> None:
    replace(now, image=image_of_release(BEFORE_A_MIGRATION)).install(EMBEDDED)
    door = Door.of(now)
    door.fill("pages", {_PAGES[0].stem: _PAGES[0].read_text(encoding="utf-8")})
    now.upgrade(EMBEDDED)

    with pytest.raises(HelmError):
        now.helm("rollback", now.name, "--wait", "--timeout=30s")
    assert await_condition(lambda: "DATA_FROM_NEWER_VERSION" in _said(now), 60), _said(now)

    now.upgrade(EMBEDDED)
    assert door.top("pages", ["What is it about?"])


def _assert_carried_out(operated: Operated, **spec: object) -> None:
    generation = operated.patch(KEPT, **spec)
    applied = f"jsonpath={{.status.appliedGeneration}}={generation}"
    operated.wait(KEPT, applied, "condition=Ready")


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
