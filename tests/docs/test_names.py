"""Whatever exists is documented, and whatever the pages name exists."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragmesh.app.settings import Settings
from ragmesh.chassis.settings import describe
from ragmesh.chassis.settings.loading import CLIENT_VARIABLES
from ragmesh.chassis.settings.reference import variable_of
from ragmesh_operator.schemas import KINDS
from tests.docs.names import (
    code_of,
    command_fault,
    make_targets,
    named_reasons,
    named_targets,
    wrong_commands,
)
from tests.docs.pages import ROOT, Page, all_pages, page
from tools.generate_reference import command_contexts, registry, shipped_errors
from tools.generate_resources import tables_of

_GRPC_CODES = frozenset(
    {"INVALID_ARGUMENT", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "DEADLINE_EXCEEDED",
     "FAILED_PRECONDITION", "NOT_SERVING"}
)  # fmt: skip
_VARIABLE = re.compile(r"\bRAGMESH_[A-Z_]*[A-Z]\b")
_MISTYPED = "RAGMESH_GATEWAY__HTPP"
"""The one variable that a page mistypes to show what happens."""
_QUOTED = re.compile(r'"([A-Z]+(?:_[A-Z]+)+)"')
_ENUM_VALUE = re.compile(r"^ +([A-Z]+(?:_[A-Z]+)+) = \d+;", re.MULTILINE)
_DOTTED = re.compile(r"([a-z]+)\.[a-z][a-z_.\[\]]*")
EVERY_PAGE = pytest.mark.parametrize("found", all_pages(), ids=lambda found: found.name)


def test_every_reason_is_documented() -> None:
    documented = set(page("docs/reference/errors.md").code_spans)
    assert {found.reason for found in shipped_errors()} <= documented


def test_every_setting_is_documented() -> None:
    documented = set(page("docs/reference/settings.md").code_spans)
    assert {row.name for row in describe(Settings)} <= documented


def test_every_command_is_documented_with_every_option() -> None:
    text = page("docs/reference/cli.md").text
    for context in command_contexts():
        heading = f"## {context.command_path}\n"
        assert heading in text
        section = text.split(heading)[1].split("\n## ")[0]
        options = [option for each in context.command.params for option in each.opts]
        shown = [option for option in options if option.startswith("-")]
        assert all(option in section for option in shown), context.command_path


def test_every_target_of_make_help_is_documented() -> None:
    assert make_targets() == named_targets(page("docs/reference/make.md"))


@EVERY_PAGE
def test_a_page_names_no_make_target_that_is_not_there(found: Page) -> None:
    assert named_targets(found) <= make_targets()


@EVERY_PAGE
def test_a_page_names_no_command_that_is_not_there(found: Page) -> None:
    assert not wrong_commands(found)


@EVERY_PAGE
def test_a_page_names_no_setting_that_is_not_there(found: Page) -> None:
    names = {row.name for row in describe(Settings)}
    variables = {variable_of(name) for name in names} | CLIENT_VARIABLES | {_MISTYPED}
    assert set(_VARIABLE.findall(found.text)) <= variables
    sections = {name.partition(".")[0] for name in names if "." in name}
    stages = registry()["spans"]["stages"]["names"]
    for code in found.code_spans:
        match = _DOTTED.fullmatch(code)
        if match and match[1] in sections and not _is_file(code):
            known = code in names or code in stages or code in chart_values()
            assert known or code in resource_fields()


@functools.cache
def resource_fields() -> frozenset[str]:
    """Every field of the custom resources, by its dotted name."""
    return frozenset(
        row.split("`")[1] for part in map(tables_of, KINDS) for row in part if row.startswith("| `")
    )


@functools.cache
def chart_values() -> frozenset[str]:
    """Every value of a chart, by its dotted name."""
    files = (ROOT / "charts").glob("*/values.yaml")
    values = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in files)
    return frozenset(name for one in values for name in _dotted(one, ""))


def _dotted(section: Mapping[str, Any], place: str) -> Iterator[str]:
    for key, value in section.items():
        yield place + key
        if isinstance(value, dict):
            yield from _dotted(value, f"{place}{key}.")


@functools.cache
def said_in_code() -> frozenset[str]:
    """Every word in capitals that services, contracts or the cluster's tests say to others."""
    rooms = (ROOT / "services" / "ragmesh", ROOT / "tests" / "cluster")
    modules = (path for room in rooms for path in room.rglob("*.py"))
    quoted = [_QUOTED.findall(path.read_text(encoding="utf-8")) for path in modules]
    protos = (ROOT / "protos").rglob("*.proto")
    enums = [_ENUM_VALUE.findall(path.read_text(encoding="utf-8")) for path in protos]
    return frozenset(word for words in (*quoted, *enums) for word in words)


@EVERY_PAGE
def test_a_page_names_no_reason_that_is_not_there(found: Page) -> None:
    said = said_in_code() | _GRPC_CODES
    assert {word for word in named_reasons(found) if not word.startswith("RAGMESH_")} <= said


def test_a_command_that_is_not_there_is_noticed() -> None:
    assert command_fault('ask "Where?" -c x --json') == ""
    assert "no command" in command_fault("documents ad notes -c x")
    assert "no option" in command_fault("search x -c y --fast")


def test_what_pages_type_is_looked_at() -> None:
    typed = set(code_of(page("docs/tutorials/first-answers.md")))
    assert "ragmesh collections create notes" in typed
    assert "make setup" in typed


def _is_file(code: str) -> bool:
    return Path(code).suffix in {".db", ".md", ".py", ".yaml", ".json"}
