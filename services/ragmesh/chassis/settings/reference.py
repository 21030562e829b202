"""The reference of all settings is read from the classes that load them."""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from ragmesh.chassis.settings.section import Section, section_in

_UNITS = {
    "seconds": "s",
    "milliseconds": "ms",
    "bytes": "bytes",
    "characters": "characters",
    "tokens": "tokens",
    "days": "days",
    "percent": "%",
    "dollars": "$",
    "threads": "threads",
}
_PLAIN = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path",
          SecretStr: "secret", type(None): "none"}  # fmt: skip
REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the reference shows it."""

    name: str
    """Dotted, as in the file; `[]` stands for an element of a list."""
    type: str
    default: str
    unit: str
    description: str


def describe(settings: type[Section]) -> tuple[SettingRow, ...]:
    """A row for every setting, in the order of their declaration."""
    return tuple(_rows(settings, "", None))


def variable_of(name: str) -> str:
    """The environment variable of a dotted name."""
    return "RAGMESH_" + name.replace(".", "__").upper()


def _rows(section: type[Section], prefix: str, defaults: Section | None) -> Iterator[SettingRow]:
    for name, field in section.model_fields.items():
        default = _default(field) if defaults is None else getattr(defaults, name)
        inner = section_in(field.annotation)
        if inner is not None and _is_one(field.annotation):
            yield from _rows(inner, f"{prefix}{name}.", default if default else None)
            continue
        yield SettingRow(
            name=f"{prefix}{name}",
            type=_type_name(field.annotation),
            default=_shown(default),
            unit=_unit_of(name),
            description=field.description or (inner.__doc__ or "" if inner else ""),
        )
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}[].", None)


def _unit_of(name: str) -> str:
    """That of its last word, which `_per_` ends: dollars per million tokens are dollars."""
    return _UNITS.get(name.partition("_per_")[0].rpartition("_")[2], "")


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def _is_one(annotation: Any) -> bool:
    """Whether the field is one section (perhaps an optional one) rather than a list of them."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return True
    return get_origin(annotation) in (Union, types.UnionType) and all(
        _is_one(argument) for argument in get_args(annotation)
    )


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal:
        return " | ".join(str(argument) for argument in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(_type_name(argument) for argument in arguments)
    if origin in (list, tuple, set, frozenset):
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"map of {_type_name(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " | ".join(str(member.value) for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    return getattr(annotation, "__name__", str(annotation))


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return REQUIRED
    if isinstance(default, SecretStr):
        return "(secret)"
    return json.dumps(to_jsonable_python(default, fallback=str), ensure_ascii=False)
