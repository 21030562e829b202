"""Records as lines of JSON: what a spool keeps, also from one version to the next."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from functools import cache
from typing import Any

from ragmesh.core.answers import Usage
from ragmesh.core.usage import (
    Circumstances,
    Record,
    RefusalRecord,
    SeenDocument,
    SightRecord,
    UsageRecord,
)


def record_to_text(record: Record) -> str:
    """The record as one line."""
    return _ENCODER.encode({"kind": type(record).__name__, **_fields_of(record)})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else _fields_of(value)


def _fields_of(value: Any) -> dict[str, Any]:
    """Not `asdict`, which copies all that is below, for every question anew."""
    kind: Any = type(value)  # mypy takes no class for hashable
    return {name: getattr(value, name) for name in _names_of(kind)}


@cache
def _names_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain)


def record_from_text(text: str) -> Record:
    """The record of a line; ValueError, KeyError or TypeError when it holds none."""
    fields = json.loads(text)
    fields["call"] = _call(fields["call"])
    match fields.pop("kind"):
        case "UsageRecord":
            return _usage(fields)
        case "SightRecord":
            documents = (
                SeenDocument(one["document_uid"], tuple(one["chunk_ids"]))
                for one in fields["documents"]
            )
            return SightRecord(**(fields | {"documents": tuple(documents)}))
        case "RefusalRecord":
            return RefusalRecord(**fields)
        case kind:
            raise ValueError(f"there are no records of kind {kind!r}")


def _call(fields: dict[str, Any]) -> Circumstances:
    return Circumstances(**(fields | {"at": datetime.fromisoformat(fields["at"])}))


def _usage(fields: dict[str, Any]) -> UsageRecord:
    timings = tuple((name, took) for name, took in fields.pop("timings_ms"))
    usage = Usage(**fields.pop("usage"))
    return dataclasses.replace(UsageRecord(**fields), usage=usage, timings_ms=timings)
