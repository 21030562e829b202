"""Changelog, version, decisions and events are kept where their readers look for them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragmesh.api.events.v1 import answers_invalidated_pb2, document_changed_pb2
from ragmesh.app.cli.root import ragmesh
from ragmesh.app.cli.surroundings import Surroundings
from tests.docs.pages import ROOT, Page, page

SECTIONS = ["Context", "Decision", "Consequences", "What would change our mind"]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
_NAME = re.compile(r"(\d{4})(-[a-z0-9]+){2,}\.md")
_STATUS = re.compile(r"^Status: (accepted|superseded by \[.+\]\(.+\))$", re.MULTILINE)


def test_the_changelog_has_room_for_what_comes_next() -> None:
    headings = page("CHANGELOG.md").headings
    assert headings[:2] == ["Changelog", "[Unreleased]"]
    releases = [heading for heading in headings[1:] if heading not in CHANGES]
    assert all(re.fullmatch(r"\[.+\]( - \d{4}-\d{2}-\d{2})?", release) for release in releases)


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = CliRunner().invoke(ragmesh, ["version"], obj=Surroundings({}))
    assert version("ragmesh") == project["version"]
    assert said.output == f"ragmesh {project['version']}\n"


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_what_was_decided_and_what_would_change_it(path: Path) -> None:
    name = _NAME.fullmatch(path.name)
    assert name is not None
    title, *sections = Page(path).headings
    assert title.startswith(f"{int(name[1])}. ")
    assert sections == SECTIONS
    assert _STATUS.search(Page(path).text)


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    index = page("docs/adr/README.md")
    assert [path.name for path in DECISIONS] == [link for link in index.links if link[:1] == "0"]
    for path in DECISIONS:
        assert f"[{Page(path).headings[0]}]({path.name})" in index.text


def test_every_event_is_listed_with_its_topic() -> None:
    events = page("docs/reference/events.md")
    rows = {row.split("|")[1].strip() for row in events.text.splitlines() if row.startswith("| [")}
    listed = {match[1] for row in rows if (match := re.match(r"\[(\w+)\]", row))}
    modules = (answers_invalidated_pb2, document_changed_pb2)
    assert listed == {
        name for module in modules for name in module.DESCRIPTOR.message_types_by_name
    }
    protos = (ROOT / "protos" / "ragmesh" / "api" / "events" / "v1").glob("*.proto")
    assert len(list(protos)) == len(modules)
    assert "ragmesh.documents.changed.v1" in events.code_spans
