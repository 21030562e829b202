from __future__ import annotations

import re

import pytest

from ragmesh.core import errors
from ragmesh.core.errors import InvalidError, Kind, RagmeshError, Violation, error_classes


def every_class() -> list[type[RagmeshError]]:
    found, waiting = [], [RagmeshError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            waiting.append(child)
            if child.__module__.startswith("ragmesh."):
                found.append(child)
    return found


CLASSES = every_class()


def test_every_reason_belongs_to_one_class() -> None:
    reasons = [found.reason for found in CLASSES]
    assert sorted(reasons) == sorted(set(reasons))


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_every_class_is_named_documented_and_reachable(found: type[RagmeshError]) -> None:
    assert found.__name__.endswith("Error")
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", found.reason)
    assert "reason" in vars(found), "a class without a reason of its own hides behind another"
    first_line = (vars(found).get("__doc__") or "").splitlines()[0]
    assert len(first_line) > 10
    assert first_line.endswith("."), "the first line is the title of the problem over HTTP"
    assert error_classes()[found.reason] is found


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_every_class_has_the_kind_of_its_branch(found: type[RagmeshError]) -> None:
    parent = found.__mro__[1]
    assert issubclass(parent, RagmeshError)
    assert parent is RagmeshError or found.kind is parent.kind


def test_every_kind_has_one_branch_of_the_tree() -> None:
    branches = [found for found in CLASSES if found.__bases__ == (RagmeshError,)]
    assert sorted(branch.kind.value for branch in branches) == sorted(kind.value for kind in Kind)


def test_the_package_gives_away_every_class_it_has() -> None:
    ours = {found.__name__ for found in CLASSES if found.__module__.startswith("ragmesh.core.")}
    assert ours <= set(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)


def test_only_what_may_pass_by_itself_is_transient() -> None:
    transient = {kind for kind in Kind if kind.transient}
    assert transient == {Kind.EXHAUSTED, Kind.UNAVAILABLE, Kind.DEADLINE, Kind.CONFLICT}


def test_an_error_cannot_be_changed_through_what_it_was_made_of() -> None:
    metadata, violations = {"limit": "3"}, [Violation("a", "b")]
    error = InvalidError("x", metadata=metadata, violations=violations)
    metadata["limit"] = "4"
    violations.clear()
    assert error.metadata == {"limit": "3"}
    assert error.violations == (Violation("a", "b"),)
    with pytest.raises(TypeError):
        error.metadata["limit"] = "5"  # type: ignore[index]


def test_an_error_about_one_field_names_it_twice() -> None:
    error = InvalidError.of("limit", "must be positive")
    assert str(error) == "limit: must be positive"
    assert error.violations == (Violation("limit", "must be positive"),)
