"""From replies of the gateway to values.

Uids of documents and tenants, attribute generations and sequences of answers never leave the
mesh: the fields of the values that hold them are empty here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.gateway.v1 import ask_service_pb2 as ask_pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1 import document_pb2 as document_pb
from ragmesh.api.types.v1 import (
    access_pb2,
    answer_pb2,
    document_pb2,
    job_pb2,
    search_pb2,
    text_pb2,
)
from ragmesh.chassis.messages.answers import usage_from_message
from ragmesh.chassis.structs import fields_of
from ragmesh.core.answers import Answer, AnswerStatus, Citation, Usage
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
    Chunking,
    Collection,
    DefaultAccess,
    Document,
    DocumentState,
    Failure,
    Job,
    JobState,
    Revision,
    Stage,
)
from ragmesh.core.errors import UnsupportedError
from ragmesh.core.metadata import Metadata, SortableField, SortKind
from ragmesh.core.properties import FileProperties
from ragmesh.core.search import FoundChunk, Score, SearchResult
from ragmesh.core.spans import Span

Member = TypeVar("Member", bound=Enum)


def answer_of(message: ask_pb.AskResponse) -> Answer:
    """A whole answer."""
    return Answer(
        answer=message.answer,
        status=_member(AnswerStatus, answer_pb2.AnswerStatus, message.status),
        citations=tuple(citation_of(citation) for citation in message.citations),
        confidence=message.confidence,
        groundedness=message.groundedness,
        cached=message.cached,
        model=message.model,
        usage=usage_from_message(message.usage),
        index_version=message.index_version,
        heads_sequence=0,
        request_id=message.request_id,
        timings_ms=tuple(sorted(message.timings_ms.items())),
        degraded=tuple(message.degraded),
    )


def finished_answer(
    finish: ask_pb.Finish, text: str, citations: tuple[Citation, ...], usage: Usage
) -> Answer:
    """The answer that a stream amounts to."""
    return Answer(
        answer=text,
        status=_member(AnswerStatus, answer_pb2.AnswerStatus, finish.status),
        citations=citations,
        confidence=finish.confidence,
        groundedness=finish.groundedness,
        cached=finish.cached,
        model=finish.model,
        usage=usage,
        index_version=finish.index_version,
        heads_sequence=0,
        request_id=finish.request_id,
        timings_ms=tuple(sorted(finish.timings_ms.items())),
        degraded=tuple(finish.degraded),
    )


def citation_of(message: ask_pb.Citation) -> Citation:
    """A citation."""
    return Citation(
        marker=message.marker,
        document_uid="",
        document_id=message.document_id,
        revision=message.revision,
        title=message.title,
        chunk_id=message.chunk_id,
        quote=message.quote,
        span=_span(message.span),
        page=message.page if message.HasField("page") else None,
        headings=tuple(message.headings),
    )


def search_result_of(message: ask_pb.SearchResponse) -> SearchResult:
    """What a search found."""
    return SearchResult(
        hits=tuple(_hit(hit) for hit in message.hits),
        index_version=message.index_version,
        heads_sequence=message.heads_sequence,
        degraded=tuple(message.degraded),
        timings_ms=tuple(sorted(message.timings_ms.items())),
    )


def collection_of(message: collection_pb.Collection) -> Collection:
    """A collection."""
    return Collection(
        uid=message.uid,
        tenant_uid="",
        name=message.name,
        description=message.description,
        language=message.language,
        encoder=message.encoder,
        chunking=Chunking(message.chunking.max_tokens, message.chunking.overlap_tokens),
        default_access=_member(DefaultAccess, access_pb2.DefaultAccess, message.default_access),
        sortable=tuple(
            SortableField(name, _member(SortKind, document_pb2.SortKind, kind), slot)
            for slot, (name, kind) in enumerate(sorted(message.sortable.items()))
        ),
        index_version=message.index_version,
        documents=message.documents,
        chunks=message.chunks,
        created_at=_moment(message.created_at),
        updated_at=_moment(message.updated_at),
        warnings=tuple(message.warnings),
        indexed_documents=message.indexed_documents,
        pending_documents=message.pending_documents,
        failed_documents=message.failed_documents,
        dead_letters=message.dead_letters,
        pending_since=_moment(message.pending_since) if message.HasField("pending_since") else None,
    )


def accepted_of(message: document_pb2.Accepted) -> Accepted:
    """The durable answer to a change."""
    return Accepted(
        document_id=message.document_id,
        revision=message.revision,
        job_id=message.job_id,
        state=_member(JobState, job_pb2.JobState, message.state),
    )


def document_of(message: document_pb.Document) -> Document:
    """A document without its content."""
    return Document(
        document_id=message.document_id,
        uid="",
        revision=message.revision,
        generation=0,
        state=_member(DocumentState, document_pb2.DocumentState, message.state),
        chunks=message.chunks,
        title=message.title,
        content_type=message.content_type,
        metadata=Metadata.parse(fields_of(message.metadata)),
        access=Access(tuple(message.access.groups)) if message.HasField("access") else None,
        error=_failure(message.error) if message.HasField("error") else None,
        updated_at=_moment(message.updated_at),
        properties=_properties(message.properties),
    )


def _properties(message: document_pb.FileProperties) -> FileProperties:
    return FileProperties(
        author=message.author,
        created=message.created,
        modified=message.modified,
        language=message.language,
        images=message.images,
        image_names=tuple(message.image_names),
    )


def revision_of(message: document_pb2.Revision) -> Revision:
    """A revision."""
    return Revision(
        revision=message.revision,
        content_sha256=message.content_sha256,
        size_bytes=message.size_bytes,
        content_type=message.content_type,
        deleted=message.deleted,
        created_at=_moment(message.created_at),
    )


def job_of(message: job_pb2.Job) -> Job:
    """A job."""
    return Job(
        job_id=message.job_id,
        collection=message.collection,
        document_id=message.document_id,
        revision=message.revision,
        state=_member(JobState, job_pb2.JobState, message.state),
        stage=_member(Stage, job_pb2.JobStage, message.stage),
        percent=message.percent,
        error=_failure(message.error) if message.HasField("error") else None,
        created_at=_moment(message.created_at),
        started_at=_moment(message.started_at) if message.HasField("started_at") else None,
        ended_at=_moment(message.ended_at) if message.HasField("ended_at") else None,
        timings_ms=tuple(sorted(message.timings_ms.items())),
        counts=tuple(sorted(message.counts.items())),
    )


def _hit(message: ask_pb.Hit) -> FoundChunk:
    return FoundChunk(
        chunk_id=message.chunk_id,
        document_id=message.document_id,
        revision=message.revision,
        title=message.title,
        text=message.text,
        score=message.score,
        span=_span(message.span),
        page=message.page if message.HasField("page") else None,
        headings=tuple(message.headings),
        metadata=Metadata.parse(fields_of(message.metadata)).canonical,
        scores=tuple(_score(score) for score in message.scores),
    )


def _score(message: search_pb2.RankingScore) -> Score:
    return Score(message.ranking, message.rank, message.score)


def _span(message: text_pb2.Span) -> Span:
    return Span(message.start, message.end)


def _failure(message: job_pb2.Failure) -> Failure:
    return Failure(message.reason, message.message)


def _moment(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)


def _member(kind: type[Member], names: Any, number: int) -> Member:
    """The value whose name the contract gives this number, without its prefix."""
    known = dict(zip(names.values(), names.keys(), strict=True))
    name = known.get(number, "")
    for member in kind:
        if name.endswith(f"_{member.name}"):
            return member
    raise UnsupportedError(
        f"the server speaks of a {kind.__name__} that this client does not know ({number}); "
        "use a client of the server's version"
    )
