"""What both doors read alike: questions with their history, and the sizes of what comes in.

What a document or a collection may hold is the catalog's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.documents import MAX_UPLOADS
from ragmesh.core.errors import (
    BatchTooLargeError,
    FileTooLargeError,
    InvalidError,
    Violation,
)
from ragmesh.core.filters import Filter
from ragmesh.core.metadata import SortableField, declare_sortable
from ragmesh.core.names import collection_name
from ragmesh.core.questions import Question, parse_limit
from ragmesh.core.turns import parse_turns

DEFAULT_ASK_LIMIT = 8
DEFAULT_SEARCH_LIMIT = 10


def parse_ask(
    collection: str,
    question: str,
    *,
    history: Sequence[tuple[str, str]] = (),
    filter: Filter | None = None,
    limit: int | None = None,
    cache: CacheMode = CacheMode.USE,
) -> AskQuery:
    """The question with everything around it, or one error that names the field at fault."""
    return AskQuery(
        collection=collection_name(collection),
        question=Question.parse(question),
        history=parse_turns(history),
        filter=filter,
        limit=parse_limit(DEFAULT_ASK_LIMIT if limit is None else limit),
        cache=cache,
    )


def parse_choice(value: str, choices: Sequence[str], *, field: str) -> str:
    """The value itself when it is one of the choices, else InvalidError."""
    if value not in choices:
        raise InvalidError.of(field, "must be one of " + ", ".join(choices))
    return value


def parse_sortable(kinds: Mapping[str, str]) -> tuple[SortableField, ...]:
    """The sortable fields with slots by name, since a map on the wire has no order."""
    return declare_sortable(dict(sorted(kinds.items())))


def refuse_size(size: int, *, file_bytes: int, field: str) -> None:
    """Raise FileTooLargeError above the limit; called before the rest of a file is read."""
    if size > file_bytes:
        message = f"must have at most {file_bytes} bytes"
        raise FileTooLargeError(
            f"{field} {message}",
            violations=[Violation(field, message)],
            metadata={"limit": str(file_bytes)},
        )


def refuse_count(count: int, *, field: str = "documents") -> None:
    """Raise when a batch holds no document or too many."""
    if count == 0:
        raise InvalidError.of(field, "must hold at least one document")
    if count > MAX_UPLOADS:
        message = f"must hold at most {MAX_UPLOADS} documents"
        raise BatchTooLargeError(
            f"{field} {message}",
            violations=[Violation(field, message)],
            metadata={"limit": str(MAX_UPLOADS)},
        )
