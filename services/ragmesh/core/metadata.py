"""A document's metadata: any JSON object is kept; typed tokens and slots make it filterable.

Every top-level field becomes tokens `field=value` (canonical JSON scalars, one an element of an
array) and one token `field` that says it exists; declared sortable fields fill numbered slots.
Tokens and slots are the same in every store, so that a filter means the same everywhere.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any

from ragmesh.core.errors import FieldNotSortableError, InvalidMetadataError, Violation

MAX_TOKENS = 64
"""Most `field=value` tokens of one document, and most fields."""
MAX_TOKEN_BYTES = 256
MAX_NAME_BYTES = 160
"""Longer field names stand in tokens as their SHA-256, which leaves room for that of a value."""
MAX_METADATA_BYTES = 65_536
MAX_SORTABLE = 16
MAX_SORTABLE_NAME = 200
"""What a filter may name."""
_MAX_INTEGER_BITS = 4_096
"""Python refuses to print integers of more than 4,300 digits, which no JSON needs."""
_PLAIN_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class SortKind(Enum):
    """What a sortable field holds."""

    NUMBER = "number"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class SortableField:
    """A field on which ranges work, and the slot that is its own for ever."""

    name: str
    kind: SortKind
    slot: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """A validated JSON object in canonical form."""

    canonical: str = "{}"
    """The object as JSON with sorted keys, NFC strings and no spaces."""

    @classmethod
    def parse(cls, value: Mapping[str, Any] | None) -> Metadata:
        """The metadata, or InvalidMetadataError naming the field that cannot be kept."""
        cleaned = _clean(dict(value or {}), "metadata", depth=0)
        canonical = json.dumps(cleaned, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if len(canonical.encode()) > MAX_METADATA_BYTES:
            raise _refusal("metadata", f"must be at most {MAX_METADATA_BYTES} bytes of JSON")
        metadata = cls(canonical)
        metadata.tokens()
        return metadata

    def fields(self) -> dict[str, Any]:
        """A fresh copy of the object."""
        fields: dict[str, Any] = json.loads(self.canonical)
        return fields

    def tokens(self) -> frozenset[str]:
        """The tokens on which `eq`, `in` and `exists` work."""
        fields = {name: value for name, value in self.fields().items() if value is not None}
        values: set[str] = set()
        for name, value in fields.items():
            elements = value if isinstance(value, list) else [value]
            values |= {
                value_token(name, element)
                for element in elements
                if element is not None and not isinstance(element, (dict, list))
            }
        if len(values) > MAX_TOKENS or len(fields) > MAX_TOKENS:
            raise _refusal("metadata", f"must have at most {MAX_TOKENS} fields and values in all")
        return frozenset(values | {exists_token(name) for name in fields})

    def slots(self, sortable: Sequence[SortableField]) -> tuple[tuple[int, float], ...]:
        """(slot, number) of every sortable field present; InvalidMetadataError on a wrong type."""
        fields = self.fields()
        return tuple(
            (field.slot, slot_value(field, fields[field.name]))
            for field in sortable
            if fields.get(field.name) is not None
        )


NO_METADATA = Metadata()


def value_token(field: str, value: str | float | bool) -> str:
    """The token that says this field holds this value."""
    name = _token_name(field)
    token = f"{name}={_canonical_scalar(value)}"
    if len(token.encode()) > MAX_TOKEN_BYTES:
        token = f"{name}=sha256:{sha256(token.encode()).hexdigest()}"
    return token


def exists_token(field: str) -> str:
    """The token that says this field is present and not null."""
    return _token_name(field)


def slot_value(field: SortableField, value: object) -> float:
    """The number that a slot holds: the number itself, or seconds since 1970 of a datetime."""
    if field.kind is SortKind.NUMBER:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return _double(value, field.name)
        raise _refusal(f"metadata.{field.name}", "must be a number: the field is sortable")
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise _refusal(f"metadata.{field.name}", "must be an ISO 8601 datetime: the field is sortable")


def _double(value: float, name: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refusal(f"metadata.{name}", "must be a number that a double can hold")
    return number


def sortable_named(name: str, sortable: Sequence[SortableField]) -> SortableField:
    """The declared field of that name, else FieldNotSortableError."""
    for field in sortable:
        if field.name == name:
            return field
    raise FieldNotSortableError(
        f"range works on declared sortable fields only; {name!r} is not one",
        metadata={"field": name},
    )


def declare_sortable(kinds: Mapping[str, str]) -> tuple[SortableField, ...]:
    """The fields of a new collection with their slots, or InvalidMetadataError."""
    if len(kinds) > MAX_SORTABLE:
        raise _refusal("sortable", f"must declare at most {MAX_SORTABLE} fields")
    known = {kind.value: kind for kind in SortKind}
    fields = []
    for slot, (name, kind) in enumerate(kinds.items()):
        if not 0 < len(name) <= MAX_SORTABLE_NAME:
            raise _refusal(
                "sortable", f"must name each field with 1 to {MAX_SORTABLE_NAME} characters"
            )
        cleaned = clean_text(name, "sortable")
        if kind not in known:
            raise _refusal(f"sortable.{cleaned}", "must be one of " + ", ".join(known))
        fields.append(SortableField(cleaned, known[kind], slot))
    if len({field.name for field in fields}) < len(fields):
        raise _refusal("sortable", "must not name one field in two spellings")
    return tuple(fields)


def clean_text(text: str, where: str) -> str:
    """The text in NFC, or InvalidMetadataError for what no store keeps: surrogates and NUL."""
    text = _nfc(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refusal(where, "must not hold lone surrogates") from None
    if "\x00" in text:
        raise _refusal(where, "must not hold NUL characters")
    return text


def _token_name(field: str) -> str:
    field = _nfc(field)
    name = field if _PLAIN_FIELD.fullmatch(field) else json.dumps(field, ensure_ascii=False)
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    return f"sha256:{sha256(name.encode()).hexdigest()}"  # no plain name holds a colon


def _canonical_scalar(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(_nfc(value), ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)


def _clean(value: Any, where: str, *, depth: int) -> Any:
    """The value with NFC strings, or a refusal of what JSON cannot say."""
    if depth > 16:
        raise _refusal(where, "must be nested at most 16 deep")
    if isinstance(value, str):
        return clean_text(value, where)
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(where, "must be a finite number")
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        raise _refusal(where, f"must be an integer of at most {_MAX_INTEGER_BITS} bits")
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_clean(item, f"{where}[{i}]", depth=depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        cleaned = {
            clean_text(key, where): _clean(item, f"{where}.{key}", depth=depth + 1)
            for key, item in value.items()
        }
        if len(cleaned) < len(value):
            raise _refusal(where, "must not name one field in two spellings")
        return cleaned
    raise _refusal(where, "must be a JSON value")


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _refusal(field: str, message: str) -> InvalidMetadataError:
    return InvalidMetadataError(f"{field} {message}", violations=[Violation(field, message)])
