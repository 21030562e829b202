"""Refuses uploads and collections that cannot be kept, before anything is stored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

from ragmesh.core import names
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Chunking,
    DocumentChange,
    NewCollection,
    Upload,
    refuse_total,
    total_bytes,
)
from ragmesh.core.errors import (
    BatchTooLargeError,
    EmptyFileError,
    FileTooLargeError,
    InvalidError,
    InvalidFilenameError,
    Violation,
)
from ragmesh.core.ids import new_uid
from ragmesh.core.metadata import SortableField
from ragmesh.core.questions import refuse_controls
from ragmesh.core.vectors import EncoderDescription
from ragmesh.indexing.limits import UploadLimits
from ragmesh.indexing.rows import Candidate

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MOST_DESCRIPTION = 2_000
MOST_REASON = 1_000


def candidates_of(
    uploads: Sequence[Upload], sortable: Sequence[SortableField], limits: UploadLimits
) -> tuple[Candidate | InvalidError, ...]:
    """The uploads as candidates, ids made where none was given, or why one is none by itself.

    The second of one id in a request is refused: within one transaction neither came later. What
    is wrong with the request as a whole is raised.
    """
    if not uploads:
        raise InvalidError.of("documents", "must hold at least one document")
    if len(uploads) > limits.documents:
        raise BatchTooLargeError(
            f"documents must hold at most {limits.documents} documents",
            violations=[Violation("documents", f"at most {limits.documents}")],
            metadata={"limit": str(limits.documents)},
        )
    refuse_total(total_bytes(uploads))
    taken: set[str] = set()
    judged: list[Candidate | InvalidError] = []
    for upload in uploads:
        try:
            candidate = _candidate(upload, sortable, limits)
            if candidate.document_id in taken:
                raise InvalidError.of("document_id", "names a document of this request twice")
        except InvalidError as error:
            judged.append(error)
            continue
        taken.add(candidate.document_id)
        judged.append(candidate)
    return tuple(judged)


def checked_change(
    change: DocumentChange, sortable: Sequence[SortableField], limits: UploadLimits
) -> DocumentChange:
    """The change with a clean title, or the refusal of what cannot be kept."""
    if change.access is not None and change.reset_access:
        raise InvalidError.of("access", "cannot be set and reset at once")
    if change.metadata is not None:
        change.metadata.slots(sortable)
    _refuse_access(change.access, limits)
    title = None
    if change.title is not None:
        title = _line(change.title, "title", limits.title_characters)
    return DocumentChange(title, change.metadata, change.access, change.reset_access)


def checked_collection(new: NewCollection) -> NewCollection:
    """The collection itself, or the refusal of a field."""
    names.collection_name(new.name, field="name")
    description = _description(new.description)
    refuse_language(new.language)
    return NewCollection(
        new.name,
        description,
        new.language,
        new.encoder,
        new.chunking,
        new.default_access,
        new.sortable,
    )


def checked_description(description: str | None) -> str | None:
    """The description, or its refusal."""
    return None if description is None else _description(description)


def refuse_language(language: str) -> None:
    """Refuse what is no tag of a language; empty is the default."""
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidError.of("language", "must be a language tag such as en or de")


def refuse_reason(reason: str) -> None:
    """Refuse what the audit cannot say of why something was done."""
    if len(reason) > MOST_REASON:
        raise InvalidError.of("reason", f"must have at most {MOST_REASON} characters")
    refuse_controls(reason, field="reason")


def refuse_chunking(chunking: Chunking, encoder: EncoderDescription) -> None:
    """Refuse chunks that the encoder's window does not hold, and overlaps that never end."""
    most = encoder.content_tokens
    if not 0 <= chunking.max_tokens <= most:
        raise InvalidError.of(
            "chunking.max_tokens", f"must be between 1 and {most}, or 0 for the whole window"
        )
    size = chunking.max_tokens or most
    if chunking.max_tokens and chunking.max_tokens < min(16, most):
        raise InvalidError.of("chunking.max_tokens", "must be at least 16")
    if not 0 <= chunking.overlap_tokens <= size // 2:
        raise InvalidError.of(
            "chunking.overlap_tokens", f"must be between 0 and half the size, {size // 2}"
        )


def _candidate(
    upload: Upload, sortable: Sequence[SortableField], limits: UploadLimits
) -> Candidate:
    size = len(upload.content)
    if not size:
        raise EmptyFileError(
            "content must not be empty", violations=[Violation("content", "has no bytes")]
        )
    if size > limits.file_bytes:
        raise FileTooLargeError(
            f"content must have at most {limits.file_bytes} bytes",
            violations=[Violation("content", f"has {size} bytes")],
            metadata={"limit": str(limits.file_bytes)},
        )
    upload.metadata.slots(sortable)
    _refuse_access(upload.access, limits)
    named = upload.document_id
    return Candidate(
        document_id=new_uid() if named is None else names.document_id(named),
        content_sha256=sha256(upload.content).hexdigest(),
        size_bytes=size,
        filename=_filename(upload.filename, limits),
        content_type=_line(upload.content_type, "content_type", 200),
        title=_line(upload.title, "title", limits.title_characters),
        metadata=upload.metadata,
        access=upload.access,
        blob=None,
        is_named=named is not None,
    )


def _filename(text: str, limits: UploadLimits) -> str:
    """The last part of a name that may come with a path in front of it.

    A name tells people what a document is. It is never one on a disk, nor does it say what kind of
    file the bytes are.
    """
    name, most = re.split(r"[/\\]", text)[-1], limits.filename_characters
    if len(name) > most:
        rule = f"must have at most {most} characters"
        raise InvalidFilenameError(
            f"filename {rule}",
            violations=[Violation("filename", rule)],
            metadata={"limit": str(most)},
        )
    return _line(name, "filename", most)


def _refuse_access(access: Access | None, limits: UploadLimits) -> None:
    groups = () if access is None else access.groups or ()
    if len(groups) > limits.groups:
        raise InvalidError.of("access", f"must name at most {limits.groups} groups")
    for group in groups:
        if not group or len(group) > limits.group_characters:
            raise InvalidError.of(
                "access", f"must name groups of 1 to {limits.group_characters} characters"
            )
        refuse_controls(group, field="access")


def _description(text: str) -> str:
    if len(text) > _MOST_DESCRIPTION:
        raise InvalidError.of("description", f"must have at most {_MOST_DESCRIPTION} characters")
    refuse_controls(text, field="description")
    return unicodedata.normalize("NFC", text).strip()


def _line(text: str, field: str, most: int) -> str:
    """One line of NFC text without controls."""
    if len(text) > most:
        raise InvalidError.of(field, f"must have at most {most} characters")
    refuse_controls(text, field=field)
    return " ".join(unicodedata.normalize("NFC", text).split())
