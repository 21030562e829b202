"""Makes values.schema.json: every object closed, so that a misspelt key is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.charts.settings import settings_shape
from tools.charts.values import Value
from tools.generate_protos import ToolError

SHAPES = Path(__file__).with_name("shapes.yaml")
_REFERENCE = "#/$defs/"
_JSON_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"))


def schema_of(values: Sequence[Value], dependencies: Sequence[str]) -> dict[str, Any]:
    """The schema of a chart's values."""
    tops = {value.path[-1]: value for value in values}
    properties = {name: _value_schema(value, tops) for name, value in tops.items()}
    # Helm adds these itself: what is global, and the values of charts that this one is made of.
    for added in ("global", *dependencies):
        properties.setdefault(added, {"type": "object"})
    schema = _closed(properties)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema,
        "$defs": _used_shapes(schema),
    }


def _value_schema(value: Value, tops: Mapping[str, Value]) -> dict[str, Any]:
    described = {"description": value.about} if value.about else {}
    if value.schema:
        told = value.schema.keys() & {"enum", "items", "type"}
        return described | ({} if told else {"type": type_of(value)}) | _written(value.schema)
    if not value.is_closed:
        return described | {"type": type_of(value)}
    properties: dict[str, Any] = {}
    if value.like:
        if value.like not in tops:
            raise ToolError(f"{value.name}: @schema ref: {value.like}: there is no such value")
        names = [one.path[-1] for one in tops[value.like].inner]
        home = f"#/properties/{value.like}/properties"
        properties = {name: {"$ref": f"{home}/{name}"} for name in names}
    properties |= {one.path[-1]: _value_schema(one, tops) for one in value.inner}
    return described | _closed(properties)


def _written(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a comment says, with the names of shapes as references."""
    found = dict(schema)
    if "items" in found:
        items = found.pop("items")
        kind = {name: {"type": "string"} for name in items} if isinstance(items, dict) else items
        found |= {"type": "array", "items": _closed(kind) if kind is not items else _type(kind)}
    elif isinstance(found.get("type"), str):
        found |= _type(found.pop("type"))
    return found


def _type(name: str) -> dict[str, Any]:
    """A type of JSON schema, or a shape."""
    return {"type": name} if name in _JSON_TYPES else {"$ref": _REFERENCE + name}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


def type_of(value: Value) -> str:
    """The type of a value whose default tells it."""
    for kind, name in _TYPES:
        if isinstance(value.default, kind):
            return name
    raise ToolError(f"{value.name}: {value.default!r} has no type that a schema knows")


def _used_shapes(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The shapes that the schema refers to, directly or through each other."""
    shapes: dict[str, Any] = yaml.safe_load(SHAPES.read_text(encoding="utf-8"))
    shapes["settings"] = settings_shape()
    used: dict[str, Any] = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            raise ToolError(f"{SHAPES.name} has no shape {name}")
        if name not in used:
            used[name] = shapes[name]
            waiting += _references(shapes[name])
    return dict(sorted(used.items()))


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            yield reference.removeprefix(_REFERENCE)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def schema_text(schema: Mapping[str, Any]) -> str:
    """As it is written."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
