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


@pytest.mark.parametrize(("mark", "variable"), [("faults", "FAULTED"), ("servers", "SERVED")])
def test_every_test_that_make_leaves_out_is_where_another_target_looks_for_it(
    mark: str, variable: str
) -> None:
    found = marked(mark)
    assert found
    assert {name for name in found if not any(map(name.startswith, told(variable)))} == set()


def test_what_is_run_alone_is_a_test_of_faults() -> None:
    assert set(told("ALONE")) <= marked("faults")


def told(variable: str) -> list[str]:
    """The words of a variable of the Makefile."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (words,) = re.findall(rf"^{variable} = (.+)$", text, re.MULTILINE)
    return [f"{word}/" if (ROOT / word).is_dir() else word for word in words.split()]


def marked(mark: str) -> set[str]:
    """Files with tests of this mark."""
    word = ".".join(("pytest", "mark", mark))
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(rf"{word}\b", path.read_text(encoding="utf-8"))
    }
