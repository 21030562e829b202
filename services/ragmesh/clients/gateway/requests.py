"""From values to requests of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.field_mask_pb2 import FieldMask

from ragmesh.api.gateway.v1 import ask_service_pb2 as ask_pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1 import document_pb2 as document_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as documents_pb
from ragmesh.api.types.v1 import (
    access_pb2,
    answer_pb2,
    document_pb2,
    job_pb2,
    search_pb2,
)
from ragmesh.chassis.messages.filters import filter_to_message
from ragmesh.chassis.structs import struct_of
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    JobState,
    NewCollection,
    Upload,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import SortKind
from ragmesh.core.questions import parse_limit
from ragmesh.core.search import SearchMode, SearchQuery

_LARGEST_REVISION = 2**32 - 1


def ask_request(query: AskQuery) -> ask_pb.AskRequest:
    """A question."""
    return ask_pb.AskRequest(
        collection=query.collection,
        question=query.question.text,
        history=[
            answer_pb2.Turn(
                role=_ROLES.get(turn.role, answer_pb2.TURN_ROLE_UNSPECIFIED), text=turn.text
            )
            for turn in query.history
        ],
        filter=None if query.filter is None else filter_to_message(query.filter),
        limit=parse_limit(query.limit),
        cache=_CACHE_MODES[query.cache],
    )


def search_request(query: SearchQuery) -> ask_pb.SearchRequest:
    """A search."""
    return ask_pb.SearchRequest(
        collection=query.collection,
        query=query.question.text,
        limit=query.limit,
        mode=_SEARCH_MODES[query.mode],
        filter=None if query.filter is None else filter_to_message(query.filter),
        score_threshold=query.score_threshold,
        explain=query.explain,
    )


def create_collection_request(new: NewCollection) -> collection_pb.CreateCollectionRequest:
    """A collection to make."""
    return collection_pb.CreateCollectionRequest(
        name=new.name,
        description=new.description,
        language=new.language,
        encoder=new.encoder,
        chunking=document_pb2.Chunking(
            max_tokens=new.chunking.max_tokens, overlap_tokens=new.chunking.overlap_tokens
        ),
        default_access=_DEFAULT_ACCESS[new.default_access],
        sortable={field.name: _SORT_KINDS[field.kind] for field in new.sortable},
    )


def update_collection_request(
    name: str, change: CollectionChange
) -> collection_pb.UpdateCollectionRequest:
    """A change of a collection."""
    request = collection_pb.UpdateCollectionRequest(name=name)
    paths = []
    if change.description is not None:
        request.description = change.description
        paths.append("description")
    if change.default_access is not None:
        request.default_access = _DEFAULT_ACCESS[change.default_access]
        paths.append("default_access")
    request.update_mask.CopyFrom(FieldMask(paths=paths))
    return request


def new_document(upload: Upload) -> document_pb.NewDocument:
    """A document with its content in one message."""
    return document_pb.NewDocument(header=document_header(upload), body=upload.content)


def document_header(upload: Upload) -> document_pb.DocumentHeader:
    """What comes with the content."""
    return document_pb.DocumentHeader(
        document_id=upload.document_id or "",
        title=upload.title,
        filename=upload.filename,
        content_type=upload.content_type,
        metadata=struct_of(upload.metadata.fields()),
        access=None if upload.access is None else _access(upload.access),
    )


def update_document_request(
    collection: str, document_id: str, change: DocumentChange
) -> documents_pb.UpdateDocumentRequest:
    """A change of a document."""
    request = documents_pb.UpdateDocumentRequest(collection=collection, document_id=document_id)
    paths = []
    if change.title is not None:
        request.title = change.title
        paths.append("title")
    if change.metadata is not None:
        request.metadata.CopyFrom(struct_of(change.metadata.fields()))
        paths.append("metadata")
    if change.access is not None:
        request.access.CopyFrom(_access(change.access))
    if change.access is not None or change.reset_access:
        paths.append("access")
    request.update_mask.CopyFrom(FieldMask(paths=paths))
    return request


def revision_number(revision: int) -> int:
    """The revision itself when it can be sent, else InvalidError."""
    if not 0 <= revision <= _LARGEST_REVISION:
        raise InvalidError.of("revision", "must be a revision number")
    return revision


def job_state_number(state: JobState | None) -> job_pb2.JobState.ValueType:
    """The state that a listing asks for; any for None."""
    return job_pb2.JOB_STATE_UNSPECIFIED if state is None else _JOB_STATES[state]


def _access(access: Access) -> access_pb2.AccessList:
    if access.groups is None:
        raise InvalidError.of("access", "must be a list of groups, or missing")
    return access_pb2.AccessList(groups=access.groups)


_ROLES: Mapping[str, answer_pb2.TurnRole.ValueType] = MappingProxyType(
    {"user": answer_pb2.TURN_ROLE_USER, "assistant": answer_pb2.TURN_ROLE_ASSISTANT}
)
_CACHE_MODES: Mapping[CacheMode, ask_pb.CacheMode.ValueType] = MappingProxyType(
    {
        CacheMode.USE: ask_pb.CACHE_MODE_USE,
        CacheMode.BYPASS: ask_pb.CACHE_MODE_BYPASS,
        CacheMode.REFRESH: ask_pb.CACHE_MODE_REFRESH,
    }
)
_SEARCH_MODES: Mapping[SearchMode, search_pb2.SearchMode.ValueType] = MappingProxyType(
    {
        SearchMode.HYBRID: search_pb2.SEARCH_MODE_HYBRID,
        SearchMode.DENSE: search_pb2.SEARCH_MODE_DENSE,
        SearchMode.KEYWORD: search_pb2.SEARCH_MODE_KEYWORD,
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
_JOB_STATES: Mapping[JobState, job_pb2.JobState.ValueType] = MappingProxyType(
    {
        JobState.QUEUED: job_pb2.JOB_STATE_QUEUED,
        JobState.RUNNING: job_pb2.JOB_STATE_RUNNING,
        JobState.SUCCEEDED: job_pb2.JOB_STATE_SUCCEEDED,
        JobState.FAILED: job_pb2.JOB_STATE_FAILED,
        JobState.CANCELLED: job_pb2.JOB_STATE_CANCELLED,
    }
)
