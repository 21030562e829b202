"""JSON objects as google.protobuf.Struct, the same way in servers and clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value

_EXACT = 2.0**53
"""Whole doubles up to here are the integers that they stand for."""


def struct_of(fields: Mapping[str, Any]) -> Struct:
    """The JSON object as a Struct, in which every number is a double."""
    return Struct(fields={name: _value(value) for name, value in fields.items()})


def fields_of(struct: Struct) -> dict[str, Any]:
    """The JSON object of a Struct; whole doubles become integers again."""
    return {name: _plain(value) for name, value in struct.fields.items()}


def _value(value: Any) -> Value:
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=struct_of(value))
        case list() | tuple():
            return Value(list_value=ListValue(values=[_value(item) for item in value]))
    try:
        return Value(number_value=float(value))
    except OverflowError:  # JSON has no largest number, a double has; its digits say it whole
        return Value(string_value=json.dumps(value))


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) <= _EXACT else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return fields_of(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None
