"""What comes in at the doors becomes core values here, so that both doors refuse alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragmesh.core.answers import AskQuery, CacheMode, Turn
from ragmesh.core.callers import Access
from ragmesh.core.documents import MAX_UPLOADS, Chunking, NewCollection, Upload
from ragmesh.core.errors import (
    BatchTooLargeError,
    EmptyFileError,
    FileTooLargeError,
    InvalidError,
    Violation,
)
from ragmesh.core.filters import Filter
from ragmesh.core.metadata import SortableField, declare_sortable
from ragmesh.core.names import collection_name, document_id
from ragmesh.core.questions import Question, parse_limit, refuse_controls

DEFAULT_ASK_LIMIT = 8
DEFAULT_SEARCH_LIMIT = 10
MAX_TURNS = 100
MAX_TURN_CHARACTERS = 32_000
MAX_TITLE_CHARACTERS = 1_000
MAX_DESCRIPTION_CHARACTERS = 10_000
MAX_GROUPS = 64
MAX_GROUP_CHARACTERS = 200
MAX_CHUNK_TOKENS = 8_192
MAX_FILENAME_CHARACTERS = 500
ROLES = ("user", "assistant")


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
        history=_turns(history),
        filter=filter,
        limit=parse_limit(DEFAULT_ASK_LIMIT if limit is None else limit),
        cache=cache,
    )


def parse_choice(value: str, choices: Sequence[str], *, field: str) -> str:
    """The value itself when it is one of the choices, else InvalidError."""
    if value not in choices:
        raise InvalidError.of(field, "must be one of " + ", ".join(choices))
    return value


def parse_text(value: str, *, field: str, most: int) -> str:
    """The text itself when it is short enough and without controls, else an error."""
    if len(value) > most:
        raise InvalidError.of(field, f"must have at most {most} characters")
    refuse_controls(value, field=field)
    return value


def parse_access(groups: Sequence[str], *, field: str = "access") -> Access:
    """The access of a list of groups; an empty list leaves it to administrators."""
    if len(groups) > MAX_GROUPS:
        raise InvalidError.of(field, f"must name at most {MAX_GROUPS} groups")
    for group in groups:
        if not group.strip():
            raise InvalidError.of(field, "must not name a blank group")
        parse_text(group, field=field, most=MAX_GROUP_CHARACTERS)
    return Access(tuple(groups))


def parse_sortable(kinds: Mapping[str, str]) -> tuple[SortableField, ...]:
    """The sortable fields with slots by name, since a map on the wire has no order."""
    return declare_sortable(dict(sorted(kinds.items())))


def parse_chunking(max_tokens: int, overlap_tokens: int) -> Chunking:
    """The chunking, or an error when no splitter could follow it."""
    if not 0 <= max_tokens <= MAX_CHUNK_TOKENS:
        raise InvalidError.of("chunking.max_tokens", f"must be between 0 and {MAX_CHUNK_TOKENS}")
    if not 0 <= overlap_tokens < (max_tokens or MAX_CHUNK_TOKENS):
        raise InvalidError.of("chunking.overlap_tokens", "must be less than max_tokens")
    return Chunking(max_tokens, overlap_tokens)


def checked_collection(new: NewCollection) -> NewCollection:
    """The collection itself when its name and description are fit, else an error."""
    collection_name(new.name, field="name")
    parse_text(new.description, field="description", most=MAX_DESCRIPTION_CHARACTERS)
    return new


def checked_upload(upload: Upload, *, file_bytes: int, field: str = "") -> Upload:
    """The upload itself when it is fit; `field` says which one of a batch it is."""
    prefix = f"{field}." if field else ""
    if upload.document_id is not None:
        document_id(upload.document_id, field=f"{prefix}document_id")
    parse_text(upload.title, field=f"{prefix}title", most=MAX_TITLE_CHARACTERS)
    parse_text(upload.filename, field=f"{prefix}filename", most=MAX_FILENAME_CHARACTERS)
    parse_text(upload.content_type, field=f"{prefix}content_type", most=MAX_FILENAME_CHARACTERS)
    where = field or upload.filename or "content"
    if not upload.content:
        message = "must not be empty"
        raise EmptyFileError(f"{where} {message}", violations=[Violation(where, message)])
    refuse_size(len(upload.content), file_bytes=file_bytes, field=where)
    return upload


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


def _turns(history: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    if len(history) > MAX_TURNS:
        raise InvalidError.of("history", f"must have at most {MAX_TURNS} turns")
    turns = []
    for position, (role, text) in enumerate(history):
        where = f"history[{position}]"
        parse_choice(role, ROLES, field=f"{where}.role")
        turns.append(Turn(role, parse_text(text, field=f"{where}.text", most=MAX_TURN_CHARACTERS)))
    return tuple(turns)
