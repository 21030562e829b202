"""No rule of a custom resource is without an example that keeps it and one that breaks it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from ragmesh_operator.resources import CollectionSpec, Part, TenantSpec
from ragmesh_operator.schemas import KINDS
from tests.unit.operators.examples import (
    CHANGES,
    COLLECTIONS,
    TENANTS,
    Example,
    examples,
    refused,
    taken,
)
from tests.unit.operators.judging import misjudged
from tests.unit.operators.rules import WORDS, Rule, rules_of, unknown_words

SPECS: dict[str, type[Part]] = {COLLECTIONS: CollectionSpec, TENANTS: TenantSpec}
RULES = [rule for kind in KINDS for rule in rules_of(kind)]
EXAMPLES = examples()


def stands_at(node: Any, place: str) -> bool:
    """Whether a resource has something at a place."""
    first, _, rest = place.partition(".")
    inner = node.get(first.removesuffix("[]"))
    if first.endswith("[]"):
        return bool(inner) and (not rest or any(stands_at(one, rest) for one in inner))
    return inner is not None and (not rest or stands_at(inner, rest))


def kept_by(rule: Rule, example: Example) -> bool:
    """Whether an example shows what the rule lets through."""
    if rule.what in WORDS:
        return rule.kind == example.rule.kind and stands_at(example.resource, rule.place)
    return rule == example.rule


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_has_an_example_that_keeps_it_and_one_that_breaks_it(rule: Rule) -> None:  # OP-8
    if any(rule == change.rule for change in CHANGES):
        return  # a change has both
    assert any(kept_by(rule, one) for one in taken(EXAMPLES))
    assert any(rule == one.rule for one in refused(EXAMPLES))


def test_every_example_is_one_of_a_rule_that_there_is() -> None:
    assert {one.rule for one in refused(EXAMPLES)} <= set(RULES)
    assert {one.rule for one in CHANGES} <= set(RULES)
    assert unknown_words() == set()


def test_every_example_has_a_name_of_its_own() -> None:
    assert [
        name for name, count in Counter(one.named for one in EXAMPLES).items() if count > 1
    ] == []


@pytest.mark.parametrize("example", taken(EXAMPLES), ids=lambda one: f"{one.rule} {one.named[1]}")
def test_what_the_definitions_take_the_program_reads(example: Example) -> None:
    SPECS[example.rule.kind].model_validate(example.resource["spec"])


@pytest.mark.parametrize(
    "example",
    [one for one in refused(EXAMPLES) if one.rule.what in WORDS and one.rule.place != "spec"],
    ids=lambda one: f"{one.rule} {one.named[1]}",
)
def test_what_the_schemas_refuse_the_program_refuses_too(example: Example) -> None:
    with pytest.raises(ValidationError):
        SPECS[example.rule.kind].model_validate(example.resource["spec"])


def test_an_example_is_judged_by_what_is_said_of_it_and_of_no_other() -> None:
    first, second, *_ = refused(EXAMPLES)
    said = "\n".join(
        f'Error from server (Invalid): {kind}.ragmesh.dev "{name}" is invalid: {" ".join(words)}'
        for (kind, name), words in ((one.named, one.words) for one in (first, second))
    )
    assert misjudged(said, [first, second]) == []
    assert len(misjudged(said.splitlines()[0], [first, second])) == 1
    assert len(misjudged(said.replace(first.words[1], "odd"), [first, second])) == 1
