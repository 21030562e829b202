"""Conditions on metadata; read by way of their JSON tree, so that there is one set of rules."""

from __future__ import annotations

import re
from typing import Any

from ragmesh.api.types.v1 import filter_pb2 as pb
from ragmesh.core.filters import And, Eq, Exists, Filter, In, Not, Or, Range, Scalar, parse_filter

_INT64 = 2**63
_DIGITS = re.compile(r"-?[0-9]{19,1300}")
"""Whole numbers beyond int64; no metadata holds one of more than 4,096 bits."""


def filter_to_message(node: Filter) -> pb.Filter:
    """The filter as a tree of messages."""
    match node:
        case Eq(field, value):
            return pb.Filter(equals=pb.EqualsFilter(field=field, value=_scalar_to(value)))
        case In(field, values):
            scalars = [_scalar_to(value) for value in values]
            return pb.Filter(one_of=pb.OneOfFilter(field=field, values=scalars))
        case Range(field, bounds):
            named = {name: _scalar_to(value) for name, value in bounds}
            return pb.Filter(
                range=pb.RangeFilter(
                    field=field,
                    gt=named.get("gt"),
                    gte=named.get("gte"),
                    lt=named.get("lt"),
                    lte=named.get("lte"),
                )
            )
        case Exists(field):
            return pb.Filter(exists=pb.ExistsFilter(field=field))
        case And(parts):
            every = [filter_to_message(part) for part in parts]
            return pb.Filter(all_of=pb.AllOfFilter(parts=every))
        case Or(parts):
            some = [filter_to_message(part) for part in parts]
            return pb.Filter(any_of=pb.AnyOfFilter(parts=some))
        case Not(part):
            return pb.Filter(negation=filter_to_message(part))


def filter_from_message(message: pb.Filter) -> Filter:
    """The filter, or InvalidFilterError that names the place."""
    parsed = parse_filter(_tree(message))
    assert parsed is not None  # noqa: S101 - only null parses to None, and a tree is an object
    return parsed


def _tree(message: pb.Filter) -> dict[str, Any]:
    match message.WhichOneof("condition"):
        case "equals":
            return {"eq": [message.equals.field, _scalar_from(message.equals.value)]}
        case "one_of":
            values = [_scalar_from(value) for value in message.one_of.values]
            return {"in": [message.one_of.field, values]}
        case "range":
            return {"range": [message.range.field, _bounds(message.range)]}
        case "exists":
            return {"exists": message.exists.field}
        case "all_of":
            return {"and": [_tree(part) for part in message.all_of.parts]}
        case "any_of":
            return {"or": [_tree(part) for part in message.any_of.parts]}
        case "negation":
            return {"not": _tree(message.negation)}
        case _:
            return {}


def _bounds(message: pb.RangeFilter) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    if message.HasField("gt"):
        bounds["gt"] = _scalar_from(message.gt)
    if message.HasField("gte"):
        bounds["gte"] = _scalar_from(message.gte)
    if message.HasField("lt"):
        bounds["lt"] = _scalar_from(message.lt)
    if message.HasField("lte"):
        bounds["lte"] = _scalar_from(message.lte)
    return bounds


def _scalar_to(value: Scalar) -> pb.FilterValue:
    if isinstance(value, bool):
        return pb.FilterValue(flag=value)
    if isinstance(value, str):
        return pb.FilterValue(text=value)
    if isinstance(value, float):
        return pb.FilterValue(number=value)
    if -_INT64 <= value < _INT64:
        return pb.FilterValue(integer=value)
    return pb.FilterValue(digits=str(value))


def _scalar_from(value: pb.FilterValue) -> str | float | bool | None:
    """The scalar; None, which no filter may compare with, for what is none."""
    match value.WhichOneof("value"):
        case "text":
            return value.text
        case "number":
            return value.number
        case "integer":
            return value.integer
        case "flag":
            return value.flag
        case "digits" if _DIGITS.fullmatch(value.digits):
            return int(value.digits)
        case _:
            return None
