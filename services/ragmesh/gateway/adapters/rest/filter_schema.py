"""The filter tree as a JSON schema: what `parse_filter` takes, but for sizes and depth."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

_FIELD = {"type": "string", "minLength": 1, "maxLength": 200}
_SCALAR = {"type": ["string", "number", "boolean"]}
_SELF = {"$ref": "#/components/schemas/Filter"}
_BOUNDS = {
    "type": "object",
    "properties": dict.fromkeys(("gt", "gte", "lt", "lte"), _SCALAR),
    "minProperties": 1,
    "additionalProperties": False,
}


def _pair(operand: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "prefixItems": [_FIELD, operand], "minItems": 2, "maxItems": 2}


_OPERANDS = MappingProxyType(
    {
        "eq": _pair(_SCALAR),
        "in": _pair({"type": "array", "items": _SCALAR, "maxItems": 128}),
        "range": _pair(_BOUNDS),
        "exists": _FIELD,
        "and": {"type": "array", "items": _SELF},
        "or": {"type": "array", "items": _SELF},
        "not": _SELF,
    }
)
FILTER_SCHEMA: dict[str, Any] = {
    "title": "Filter",
    "description": "A condition on metadata: an object with exactly one operator, of at most 128 "
    "nodes and 8 levels. `range` works on fields that the collection declares sortable.",
    "oneOf": [
        {
            "type": "object",
            "required": [operator],
            "properties": {operator: operand},
            "additionalProperties": False,
        }
        for operator, operand in _OPERANDS.items()
    ],
    "examples": [{"and": [{"eq": ["lang", "de"]}, {"range": ["year", {"gte": 2020}]}]}],
}
