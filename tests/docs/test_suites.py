"""The page of the contract suites names classes that are there, and each of them brings tests."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from tests.docs.pages import page

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
