"""What messages of every subject are made of: parts that must be there, moments and numbers."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.core.errors import InvalidError


def refuse_missing(message: Message, *names: str, field: str = "") -> None:
    """Raise InvalidError for the first of the named parts that was not sent."""
    for name in names:
        if not message.HasField(name):
            raise InvalidError.of(inside(field, name), "must be given")


def inside(field: str, name: str) -> str:
    """The name of a part within the field that holds it, "" being the message itself."""
    return f"{field}.{name}" if field else name


def moment_to_message(moment: datetime) -> Timestamp:
    """A moment, to the microsecond."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def moment_from_message(message: Timestamp, *, field: str) -> datetime:
    """The moment in UTC."""
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidError.of(field, "must be a moment of the years 1 to 9999") from None


def finite(value: float, *, field: str) -> float:
    """The number itself, unless it is NaN or infinite."""
    if not math.isfinite(value):
        raise InvalidError.of(field, "must be a finite number")
    return value
