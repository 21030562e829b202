"""Filter trees: small, typed and closed; never a string that a store interprets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragmesh.core.errors import InvalidFilterError, InvalidMetadataError, Violation
from ragmesh.core.metadata import (
    SortableField,
    clean_text,
    exists_token,
    slot_value,
    sortable_named,
    value_token,
)

MAX_DEPTH = 8
MAX_NODES = 128

Scalar = str | int | float | bool
_BOUNDS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Eq:
    """The field is, or holds among its elements, this value."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class In:
    """The field is, or holds, one of these values."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The sortable field lies within the bounds; a missing bound does not limit."""

    field: str
    bounds: tuple[tuple[str, Scalar], ...]
    """(operator, value) with operators gt, gte, lt, lte."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present and not null."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; true without parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; false without parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter = Eq | In | Range | Exists | And | Or | Not


def parse_filter(tree: object) -> Filter | None:
    """The filter of a JSON tree, None for null, else InvalidFilterError naming the place."""
    if tree is None:
        return None
    budget = [MAX_NODES]
    return _parse(tree, "filter", MAX_DEPTH, budget)


def tree_of(node: Filter) -> dict[str, Any]:
    """The JSON tree of a filter, the inverse of parse_filter."""
    match node:
        case Eq(field, value):
            return {"eq": [field, value]}
        case In(field, values):
            return {"in": [field, list(values)]}
        case Range(field, bounds):
            return {"range": [field, dict(bounds)]}
        case Exists(field):
            return {"exists": field}
        case And(parts):
            return {"and": [tree_of(part) for part in parts]}
        case Or(parts):
            return {"or": [tree_of(part) for part in parts]}
        case Not(part):
            return {"not": tree_of(part)}


def tokens_of(node: Eq | In | Exists) -> frozenset[str]:
    """The metadata tokens of which a document must have at least one."""
    match node:
        case Eq(field, value):
            return frozenset({value_token(field, value)})
        case In(field, values):
            return frozenset(value_token(field, value) for value in values)
        case Exists(field):
            return frozenset({exists_token(field)})


def slot_bounds(
    node: Range, sortable: Sequence[SortableField]
) -> tuple[int, tuple[tuple[str, float], ...]]:
    """The slot and its numeric bounds; FieldNotSortableError, or InvalidFilterError on a type."""
    field = sortable_named(node.field, sortable)
    try:
        return field.slot, tuple((name, slot_value(field, value)) for name, value in node.bounds)
    except InvalidMetadataError as error:
        raise _refusal(f"filter.range.{node.field}", error.violations[0].message) from error


def matches(
    node: Filter,
    tokens: frozenset[str],
    slots: Mapping[int, float],
    sortable: Sequence[SortableField],
) -> bool:
    """Whether one document passes; the reference that every store's push-down must equal."""
    match node:
        case Eq() | In() | Exists():
            return not tokens.isdisjoint(tokens_of(node))
        case Range():
            slot, bounds = slot_bounds(node, sortable)
            value = slots.get(slot)
            return value is not None and all(within(value, name, bound) for name, bound in bounds)
        case And(parts):
            return all(matches(part, tokens, slots, sortable) for part in parts)
        case Or(parts):
            return any(matches(part, tokens, slots, sortable) for part in parts)
        case Not(part):
            return not matches(part, tokens, slots, sortable)


def within(value: float, operator: str, bound: float) -> bool:
    """Whether `value operator bound` holds, the operator being gt, gte, lt or lte."""
    match operator:
        case "gt":
            return value > bound
        case "gte":
            return value >= bound
        case "lt":
            return value < bound
        case _:
            return value <= bound


def _parse(tree: object, where: str, depth: int, budget: list[int]) -> Filter:
    budget[0] -= 1
    if depth == 0 or budget[0] < 0:
        raise _refusal(where, f"must have at most {MAX_NODES} nodes and {MAX_DEPTH} levels")
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise _refusal(where, "must be an object with exactly one operator")
    ((operator, operand),) = tree.items()
    where = f"{where}.{str(operator)[:40]}"
    match operator:
        case "and" | "or":
            parts = _parts(operand, where, depth, budget)
            return And(parts) if operator == "and" else Or(parts)
        case "not":
            return Not(_parse(operand, where, depth - 1, budget))
        case _:
            return _leaf(operator, operand, where)


def _parts(operand: object, where: str, depth: int, budget: list[int]) -> tuple[Filter, ...]:
    if not isinstance(operand, list):
        raise _refusal(where, "must be a list of filters")
    return tuple(_parse(part, f"{where}[{i}]", depth - 1, budget) for i, part in enumerate(operand))


def _leaf(operator: object, operand: object, where: str) -> Filter:
    match operator:
        case "eq":
            field, value = _pair(operand, where)
            return Eq(field, _scalar(value, where))
        case "in":
            field, values = _pair(operand, where)
            if not isinstance(values, list) or len(values) > MAX_NODES:
                raise _refusal(where, f"must name a field and a list of at most {MAX_NODES} values")
            return In(field, tuple(_scalar(value, where) for value in values))
        case "range":
            return _range(operand, where)
        case "exists":
            return Exists(_field(operand, where))
        case _:
            raise _refusal(where, "is not an operator: eq, in, range, exists, and, or, not are")


def _range(operand: object, where: str) -> Range:
    field, bounds = _pair(operand, where)
    if not isinstance(bounds, Mapping) or not bounds or not set(bounds) <= set(_BOUNDS):
        raise _refusal(where, "must name a field and bounds among gt, gte, lt, lte")
    return Range(field, tuple((name, _scalar(bounds[name], where)) for name in sorted(bounds)))


def _pair(operand: object, where: str) -> tuple[str, object]:
    if not isinstance(operand, list) or len(operand) != 2:
        raise _refusal(where, "must be a list of a field and its operand")
    return _field(operand[0], where), operand[1]


def _field(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 200:
        raise _refusal(where, "must name a field")
    return _text(value, where)


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(where, "must compare with a finite number")
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, (int, float, bool)):
        return value
    raise _refusal(where, "must compare with a string, a number or a boolean")


def _text(value: str, where: str) -> str:
    try:
        return clean_text(value, where)
    except InvalidMetadataError as error:
        raise InvalidFilterError(error.message, violations=error.violations) from error


def _refusal(where: str, message: str) -> InvalidFilterError:
    return InvalidFilterError(f"{where} {message}", violations=[Violation(where, message)])
