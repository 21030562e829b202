"""Texts that a message can carry: protobuf takes no lone surrogates."""

from __future__ import annotations

from collections.abc import Iterable

from ragmesh.core.questions import refuse_controls


def sendable(text: str, *, field: str) -> str:
    """The text itself, or the ControlCharactersError that a service gives it in one process."""
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse_controls(text, field=field)
        raise
    return text


def all_sendable(texts: Iterable[str], *, field: str) -> list[str]:
    """The texts themselves, or that error about the position of the first one that is none."""
    return [sendable(text, field=f"{field}[{position}]") for position, text in enumerate(texts)]
