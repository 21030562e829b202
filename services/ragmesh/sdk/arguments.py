"""From what a program writes to the values of core; what cannot be one is refused here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from ragmesh.core.answers import AskQuery, CacheMode, Turn
from ragmesh.core.callers import Access
from ragmesh.core.documents import Accepted, DocumentChange, Upload
from ragmesh.core.errors import FileTooLargeError, InvalidError, PathUnreadableError, RagmeshError
from ragmesh.core.filters import Filter, parse_filter
from ragmesh.core.metadata import NO_METADATA, Metadata
from ragmesh.core.names import collection_name, document_id_of
from ragmesh.core.questions import Question, parse_limit

Item = TypeVar("Item")
Member = TypeVar("Member", bound=Enum)
Source = Upload | Path | bytes | str
"""A document to send: a file by its path, bytes, a text, or all that can be said of one."""
FilterTree = Filter | Mapping[str, Any]
"""A filter as a value of core, or as the tree of the REST interface: `{"eq": ["lang", "de"]}`."""
LARGEST_FILE_BYTES = 32 * 1024 * 1024
"""No mesh can be set to take more; what is larger is not even read."""
BATCH_BYTES = 1024 * 1024
"""Most content of one request; a larger document goes alone, piece by piece."""
BATCH_DOCUMENTS = 100


def ask_query(
    collection: str,
    question: str,
    *,
    history: Sequence[Turn],
    filter: FilterTree | None,
    limit: int,
    cache: CacheMode | str,
) -> AskQuery:
    """A question to one collection."""
    return AskQuery(
        collection=collection_name(collection),
        question=Question.parse(question),
        history=tuple(history),
        filter=filter_of(filter),
        limit=parse_limit(limit),
        cache=member_of(CacheMode, cache, field="cache"),
    )


def filter_of(given: FilterTree | None) -> Filter | None:
    """The filter that a tree describes; one that is a filter already stays as it is."""
    return parse_filter(given) if isinstance(given, Mapping) else given


def member_of(kind: type[Member], given: Member | str, *, field: str) -> Member:
    """The member itself, or the one of this value; else InvalidError."""
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise InvalidError.of(field, f"must be one of {known}") from None


def metadata_of(given: Metadata | Mapping[str, Any] | None) -> Metadata | None:
    """The metadata of an object; None stays None."""
    return Metadata.parse(given) if isinstance(given, Mapping) else given


def access_of(groups: Access | Iterable[str] | None) -> Access | None:
    """Who may see a document: these groups, administrators only when there is none."""
    return groups if groups is None or isinstance(groups, Access) else Access(tuple(groups))


def change_of(
    title: str | None,
    metadata: Metadata | Mapping[str, Any] | None,
    access: Access | Iterable[str] | None,
    *,
    reset_access: bool,
) -> DocumentChange:
    """What of a document changes."""
    change = DocumentChange(title, metadata_of(metadata), access_of(access), reset_access)
    if change == DocumentChange():
        raise InvalidError.of("document", "nothing to change: give title, metadata or access")
    return change


def upload_of(
    source: Source,
    document_id: str | None = None,
    title: str = "",
    metadata: Metadata | Mapping[str, Any] | None = None,
    access: Access | Iterable[str] | None = None,
) -> Upload:
    """A document to send; a file gets its name as its id unless another is given."""
    if isinstance(source, Upload):
        return source
    if isinstance(source, Path):
        content, filename = read_file(source), source.name.encode("utf-8", "replace").decode()
        document_id = document_id or document_id_of(Path(source.name))
    else:
        content, filename = source.encode() if isinstance(source, str) else source, ""
    return Upload(
        content=content,
        document_id=document_id,
        filename=filename,
        content_type="text/plain" if isinstance(source, str) else "",
        title=title,
        metadata=metadata_of(metadata) or NO_METADATA,
        access=access_of(access),
    )


def upload_or_error(source: Source) -> Upload | RagmeshError:
    """A document to send, or why nothing can be sent."""
    try:
        return upload_of(source)
    except RagmeshError as error:
        return error


def size_of(one: Upload | RagmeshError) -> int:
    """Bytes of content."""
    return len(one.content) if isinstance(one, Upload) else 0


def read_file(path: Path) -> bytes:
    """What stands in a file; PathUnreadableError or FileTooLargeError when nothing can be sent."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise PathUnreadableError(f"cannot be read: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE_BYTES:
        limit = {"limit": str(LARGEST_FILE_BYTES)}
        message = f"the file has more than {LARGEST_FILE_BYTES} bytes"
        raise FileTooLargeError(message, metadata=limit)
    return content


def batched(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """The items in groups that one request holds, each item taken when its group is wanted."""
    batch: list[Item] = []
    room = BATCH_BYTES
    for item in items:
        size = size_of(item)
        if batch and (size > room or len(batch) == BATCH_DOCUMENTS):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(item)
        room -= size
    if batch:
        yield batch


def job_id_of(job: Accepted | str) -> str:
    """The id of the job that a change has begun."""
    return job.job_id if isinstance(job, Accepted) else job
