"""The settings of a process as a shape of JSON schema: Helm refuses what no process takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragmesh.app.settings import Settings

_DEFINITIONS = "#/$defs/"
_NUMBER = r"^-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$"
"""`helm --set` makes a text of 0.5."""
_UNSAID = frozenset(
    # What is laid over other settings may say a part of them only; the rest is for people.
    {"default", "description", "examples", "format", "required", "title", "writeOnly"}
)


def settings_shape() -> dict[str, Any]:
    """Sections of docs/reference/settings.md: their names, and what each setting may be."""
    told = Settings.model_json_schema()
    shape: dict[str, Any] = _plain(told, told["$defs"])
    for name, setting in shape["properties"].items():
        if setting.get("type") != "object":
            # It is the chart's own, which says so in a sentence.
            shape["properties"][name] = {}
    return {"description": "Sections of docs/reference/settings.md.", **shape}


def _plain(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The same without references and without what only people read."""
    reference = part.get("$ref")
    if isinstance(reference, str):
        return _plain(definitions[reference.removeprefix(_DEFINITIONS)], definitions)
    found = {key: value for key, value in part.items() if key not in _UNSAID | {"$defs"}}
    if "properties" in found:
        inner = found["properties"].items()
        found["properties"] = {name: _plain(one, definitions) for name, one in inner}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), Mapping):
            found[key] = _plain(found[key], definitions)
    if found.get("type") == "number":
        found |= {"type": ["number", "string"], "pattern": _NUMBER}
    if "anyOf" in found:
        found |= _or_null([_plain(one, definitions) for one in found.pop("anyOf")])
    return found


def _or_null(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    """One kind that may be missing, so that a fault is told at its own place."""
    (kind,) = (one for one in kinds if one != {"type": "null"})
    types = kind["type"] if isinstance(kind["type"], list) else [kind["type"]]
    enum = {"enum": [*kind["enum"], None]} if "enum" in kind else {}
    return kind | {"type": [*types, "null"]} | enum
