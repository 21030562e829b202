"""Texts that a message can carry: protobuf takes no lone surrogates."""

from __future__ import annotations

from ragmesh.core.questions import refuse_controls


def sendable(text: str, *, field: str) -> str:
    """The text itself, or the ControlCharactersError that a service gives it in one process."""
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse_controls(text, field=field)
        raise
    return text
