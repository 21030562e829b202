"""Every rule that the definitions of the custom resources have, as they are rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ragmesh_operator.schemas import KINDS, Kind, definition

WORDS = {
    "enum": "Unsupported value",
    "minimum": "should be greater than or equal to",
    "maximum": "should be less than or equal to",
    "pattern": "should match",
    "minLength": "should be at least",
    "maxLength": "Too long",
    "maxItems": "Too many",
    "required": "Required value",
    "type": "must be of type",
}
"""How an API server says that one of them is broken."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a definition: a word of its schema at a place, or a condition in CEL."""

    kind: str
    place: str
    what: str
    """The schema's word, or the sentence of the condition."""


def rules_of(kind: Kind) -> Iterator[Rule]:
    """Every rule of what people write; a status only the operator does."""
    schema = _schema(kind)
    yield from _conditions(kind.kind, schema, "")
    yield Rule(kind.kind, "spec", "required")
    yield from _rules(kind.kind, schema["properties"]["spec"], "spec")


def _schema(kind: Kind) -> Mapping[str, Any]:
    found: Mapping[str, Any] = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _rules(kind: str, schema: Mapping[str, Any], place: str) -> Iterator[Rule]:
    yield from (Rule(kind, place, word) for word in schema if word in _CHECKED)
    yield from _conditions(kind, schema, place)
    for name in schema.get("required", ()):
        yield Rule(kind, f"{place}.{name}", "required")
    for name, inner in schema.get("properties", {}).items():
        yield from _rules(kind, inner, f"{place}.{name}")
    if "items" in schema:
        yield from _rules(kind, schema["items"], f"{place}[]")


def _conditions(kind: str, schema: Mapping[str, Any], place: str) -> Iterator[Rule]:
    for one in schema.get("x-kubernetes-validations", ()):
        yield Rule(kind, place, one["message"])


def nodes_of(kind: Kind) -> Iterator[tuple[Rule, Mapping[str, Any]]]:
    """Every place of a spec that has a type, with its schema."""
    left = [("spec", _schema(kind)["properties"]["spec"])]
    while left:
        place, schema = left.pop()
        yield Rule(kind.kind, place, "type"), schema
        left += [(f"{place}.{name}", one) for name, one in schema.get("properties", {}).items()]
        left += [(f"{place}[]", schema["items"])] if "items" in schema else []


_SAID = frozenset({"default", "description", "properties", "items"})
"""Words of a schema that refuse nothing."""
_ELSEWHERE = frozenset({"required", "x-kubernetes-validations"})
"""Those that hold several rules."""
_CHECKED = frozenset(WORDS) - _ELSEWHERE


def unknown_words() -> set[str]:
    """Words of the schemas that nobody here knows."""
    nodes = [schema for kind in KINDS for _, schema in nodes_of(kind)]
    return {word for schema in nodes for word in schema} - _SAID - _ELSEWHERE - _CHECKED
