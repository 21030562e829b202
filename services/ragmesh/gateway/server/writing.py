"""From values to messages: what an answer says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

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
from ragmesh.chassis.messages.answers import usage_to_message
from ragmesh.chassis.structs import struct_of
from ragmesh.core.answers import Answer, AnswerStatus, Citation
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Accepted,
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
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import SortKind
from ragmesh.core.search import FoundChunk, Score, SearchResult, Timings
from ragmesh.core.spans import Span


def answer_message(answer: Answer) -> ask_pb.AskResponse:
    """A whole answer."""
    return ask_pb.AskResponse(
        answer=answer.answer,
        status=_status(answer.status),
        citations=[citation_message(citation) for citation in answer.citations],
        confidence=answer.confidence,
        groundedness=answer.groundedness,
        cached=answer.cached,
        model=answer.model,
        usage=usage_to_message(answer.usage),
        timings_ms=dict(answer.timings_ms),
        index_version=answer.index_version,
        degraded=answer.degraded,
        request_id=answer.request_id,
    )


def finish_message(answer: Answer) -> ask_pb.Finish:
    """The end of a streamed answer."""
    return ask_pb.Finish(
        status=_status(answer.status),
        confidence=answer.confidence,
        groundedness=answer.groundedness,
        cached=answer.cached,
        model=answer.model,
        timings_ms=dict(answer.timings_ms),
        index_version=answer.index_version,
        degraded=answer.degraded,
        request_id=answer.request_id,
    )


def citation_message(citation: Citation) -> ask_pb.Citation:
    """A citation, without the uids that never leave the mesh."""
    return ask_pb.Citation(
        marker=citation.marker,
        document_id=citation.document_id,
        revision=citation.revision,
        title=citation.title,
        chunk_id=citation.chunk_id,
        quote=citation.quote,
        page=citation.page,
        span=_span(citation.span),
        headings=citation.headings,
    )


def search_message(result: SearchResult) -> ask_pb.SearchResponse:
    """What a search found."""
    return ask_pb.SearchResponse(
        hits=[_hit(hit) for hit in result.hits],
        index_version=result.index_version,
        heads_sequence=result.heads_sequence,
        degraded=result.degraded,
        timings_ms=dict(result.timings_ms),
    )


def collection_message(collection: Collection) -> collection_pb.Collection:
    """A collection."""
    return collection_pb.Collection(
        name=collection.name,
        uid=collection.uid,
        description=collection.description,
        language=collection.language,
        encoder=collection.encoder,
        chunking=document_pb2.Chunking(
            max_tokens=collection.chunking.max_tokens,
            overlap_tokens=collection.chunking.overlap_tokens,
        ),
        default_access=_DEFAULT_ACCESS[collection.default_access],
        sortable={field.name: _SORT_KINDS[field.kind] for field in collection.sortable},
        index_version=collection.index_version,
        documents=collection.documents,
        chunks=collection.chunks,
        created_at=_timestamp(collection.created_at),
        updated_at=_timestamp(collection.updated_at),
        warnings=collection.warnings,
        indexed_documents=collection.indexed_documents,
        pending_documents=collection.pending_documents,
        failed_documents=collection.failed_documents,
        dead_letters=collection.dead_letters,
        pending_since=None
        if collection.pending_since is None
        else _timestamp(collection.pending_since),
    )


def accepted_message(accepted: Accepted) -> document_pb2.Accepted:
    """The durable answer to a change."""
    return document_pb2.Accepted(
        document_id=accepted.document_id,
        revision=accepted.revision,
        job_id=accepted.job_id,
        state=_JOB_STATES[accepted.state],
    )


def document_message(document: Document) -> document_pb.Document:
    """A document without its content."""
    return document_pb.Document(
        document_id=document.document_id,
        revision=document.revision,
        state=_DOCUMENT_STATES[document.state],
        chunks=document.chunks,
        title=document.title,
        content_type=document.content_type,
        metadata=struct_of(document.metadata.fields()),
        access=_access(document.access),
        error=_failure(document.error),
        updated_at=_timestamp(document.updated_at),
        properties=document_pb.FileProperties(**document.properties.fields()),
    )


def revision_message(revision: Revision) -> document_pb2.Revision:
    """A revision."""
    return document_pb2.Revision(
        revision=revision.revision,
        content_sha256=revision.content_sha256,
        size_bytes=revision.size_bytes,
        content_type=revision.content_type,
        deleted=revision.deleted,
        created_at=_timestamp(revision.created_at),
    )


def job_message(job: Job) -> job_pb2.Job:
    """A job."""
    return job_pb2.Job(
        job_id=job.job_id,
        collection=job.collection,
        document_id=job.document_id,
        revision=job.revision,
        state=_JOB_STATES[job.state],
        stage=_STAGES[job.stage],
        percent=job.percent,
        error=_failure(job.error),
        created_at=_timestamp(job.created_at),
        started_at=None if job.started_at is None else _timestamp(job.started_at),
        ended_at=None if job.ended_at is None else _timestamp(job.ended_at),
        timings_ms=_summed(job.timings_ms),
        counts=dict(job.counts),
    )


def job_state(state: job_pb2.JobState.ValueType) -> JobState | None:
    """The state that a listing asks for, None for any; InvalidError for a number that is none."""
    if state == job_pb2.JOB_STATE_UNSPECIFIED:
        return None
    states = {number: value for value, number in _JOB_STATES.items()}
    if state not in states:
        raise InvalidError.of("state", "must be one of " + ", ".join(one.value for one in JobState))
    return states[state]


def _hit(hit: FoundChunk) -> ask_pb.Hit:
    return ask_pb.Hit(
        chunk_id=hit.chunk_id,
        document_id=hit.document_id,
        revision=hit.revision,
        title=hit.title,
        text=hit.text,
        score=hit.score,
        scores=[_score(score) for score in hit.scores],
        page=hit.page,
        headings=hit.headings,
        span=_span(hit.span),
        metadata=struct_of(json.loads(hit.metadata)),
    )


def _score(score: Score) -> search_pb2.RankingScore:
    return search_pb2.RankingScore(ranking=score.ranking, rank=score.rank, score=score.score)


def _span(span: Span) -> text_pb2.Span:
    return text_pb2.Span(start=span.start, end=span.end)


def _access(access: Access | None) -> access_pb2.AccessList | None:
    return None if access is None else access_pb2.AccessList(groups=access.groups or ())


def _failure(failure: Failure | None) -> job_pb2.Failure | None:
    if failure is None:
        return None
    return job_pb2.Failure(reason=failure.reason, message=failure.message)


def _timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _summed(timings: Timings) -> dict[str, float]:
    """A stage that was gone through twice counts with both times."""
    sums: dict[str, float] = {}
    for stage, milliseconds in timings:
        sums[stage] = sums.get(stage, 0.0) + milliseconds
    return sums


def _status(status: AnswerStatus) -> answer_pb2.AnswerStatus.ValueType:
    return _ANSWER_STATUSES[status]


_ANSWER_STATUSES: Mapping[AnswerStatus, answer_pb2.AnswerStatus.ValueType] = MappingProxyType(
    {
        AnswerStatus.ANSWERED: answer_pb2.ANSWER_STATUS_ANSWERED,
        AnswerStatus.NO_CONTEXT: answer_pb2.ANSWER_STATUS_NO_CONTEXT,
        AnswerStatus.PARTIAL: answer_pb2.ANSWER_STATUS_PARTIAL,
    }
)
_DEFAULT_ACCESS: Mapping[DefaultAccess, access_pb2.DefaultAccess.ValueType] = MappingProxyType(
    {
        DefaultAccess.OPEN: access_pb2.DEFAULT_ACCESS_OPEN,
        DefaultAccess.RESTRICTED: access_pb2.DEFAULT_ACCESS_RESTRICTED,
    }
)
_SORT_KINDS: Mapping[SortKind, document_pb2.SortKind.ValueType] = MappingProxyType(
    {
        SortKind.NUMBER: document_pb2.SORT_KIND_NUMBER,
        SortKind.DATETIME: document_pb2.SORT_KIND_DATETIME,
    }
)
_DOCUMENT_STATES: Mapping[DocumentState, document_pb2.DocumentState.ValueType] = MappingProxyType(
    {
        DocumentState.RECEIVED: document_pb2.DOCUMENT_STATE_RECEIVED,
        DocumentState.INDEXING: document_pb2.DOCUMENT_STATE_INDEXING,
        DocumentState.INDEXED: document_pb2.DOCUMENT_STATE_INDEXED,
        DocumentState.FAILED: document_pb2.DOCUMENT_STATE_FAILED,
        DocumentState.DELETING: document_pb2.DOCUMENT_STATE_DELETING,
    }
)
_JOB_STATES: Mapping[JobState, job_pb2.JobState.ValueType] = MappingProxyType(
    {
        JobState.QUEUED: job_pb2.JOB_STATE_QUEUED,
        JobState.RUNNING: job_pb2.JOB_STATE_RUNNING,
        JobState.SUCCEEDED: job_pb2.JOB_STATE_SUCCEEDED,
        JobState.FAILED: job_pb2.JOB_STATE_FAILED,
        JobState.CANCELLED: job_pb2.JOB_STATE_CANCELLED,
    }
)
_STAGES: Mapping[Stage, job_pb2.JobStage.ValueType] = MappingProxyType(
    {
        Stage.QUEUED: job_pb2.JOB_STAGE_QUEUED,
        Stage.PARSE: job_pb2.JOB_STAGE_PARSE,
        Stage.CHUNK: job_pb2.JOB_STAGE_CHUNK,
        Stage.EMBED: job_pb2.JOB_STAGE_EMBED,
        Stage.WRITE: job_pb2.JOB_STAGE_WRITE,
        Stage.PUBLISH: job_pb2.JOB_STAGE_PUBLISH,
        Stage.DONE: job_pb2.JOB_STAGE_DONE,
    }
)
