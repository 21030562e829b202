"""Spans of texts."""

from __future__ import annotations

from ragmesh.api.types.v1 import text_pb2
from ragmesh.core.errors import InvalidError
from ragmesh.core.spans import Span


def span_to_message(span: Span) -> text_pb2.Span:
    """A span."""
    return text_pb2.Span(start=span.start, end=span.end)


def span_from_message(message: text_pb2.Span, *, field: str = "span") -> Span:
    """A span; one that ends before it starts is refused."""
    if message.end < message.start:
        raise InvalidError.of(field, "must not end before it starts")
    return Span(message.start, message.end)
