"""Records as lines of JSON: what a spool keeps, also from one version to the next."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime
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
    fields = asdict(record)
    fields["call"]["at"] = record.call.at.isoformat()
    return json.dumps({"kind": type(record).__name__, **fields}, separators=(",", ":"))


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
    return replace(UsageRecord(**fields), usage=usage, timings_ms=timings)
