"""The page of the contract suites names classes that are there, and each of them brings tests."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.docs.pages import ROOT, page

PAGE = page("docs/explanation/contract-suites.md")
SUITE = re.compile(r"(ragmesh\.testing\.\w+)\.(\w+Contract)")
NAMED = [match.groups() for code in PAGE.code_spans if (match := SUITE.fullmatch(code))]


def test_the_page_lists_suites_once_each_by_their_modules() -> None:
    assert len(NAMED) >= 12
    assert len(set(NAMED)) == len(NAMED)


@pytest.mark.parametrize(("module", "name"), NAMED, ids=lambda word: word)
def test_a_suite_of_the_page_is_a_class_with_tests(module: str, name: str) -> None:
    suite = getattr(import_module(module), name)
    assert [member for member in dir(suite) if member.startswith("test_")]


def test_every_test_of_faults_is_where_make_looks_for_it() -> None:
    (told,) = re.findall(r"^FAULTED = (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    folders = tuple(f"{folder}/" for folder in told.split())
    mark = ".".join(("pytest", "mark", "faults"))
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if mark in path.read_text(encoding="utf-8")
    }
    assert found
    assert {name for name in found if not name.startswith(folders)} == set()
