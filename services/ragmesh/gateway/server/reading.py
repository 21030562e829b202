"""From messages to values: what a request says, checked by the same rules as over HTTP."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask

from ragmesh.api.gateway.v1 import ask_service_pb2 as ask_pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1 import document_pb2 as document_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as documents_pb
from ragmesh.api.types.v1 import access_pb2, answer_pb2, document_pb2, search_pb2
from ragmesh.chassis.messages.collections import chunking_from_message
from ragmesh.chassis.messages.filters import filter_from_message
from ragmesh.chassis.messages.migrations import policy_from_message
from ragmesh.chassis.structs import fields_of
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.callers import Access
from ragmesh.core.documents import (
    Chunking,
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    NewCollection,
    Upload,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import Metadata
from ragmesh.core.migrations import IndexChange
from ragmesh.core.names import collection_name
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery
from ragmesh.gateway.parsing import (
    DEFAULT_SEARCH_LIMIT,
    parse_ask,
    parse_sortable,
)

TEXT_TYPE = "text/plain; charset=utf-8"
_INDEX_PATHS = frozenset({"encoder", "chunking", "language", "migration_policy"})


def ask_query(message: ask_pb.AskRequest) -> AskQuery:
    """A question."""
    return parse_ask(
        message.collection,
        message.question,
        history=[(_role(turn.role), turn.text) for turn in message.history],
        filter=filter_from_message(message.filter) if message.HasField("filter") else None,
        limit=message.limit if message.HasField("limit") else None,
        cache=_cache_mode(message.cache),
    )


def search_query(message: ask_pb.SearchRequest) -> SearchQuery:
    """A search."""
    return SearchQuery(
        collection=collection_name(message.collection),
        question=Question.parse(message.query, field="query"),
        limit=message.limit if message.HasField("limit") else DEFAULT_SEARCH_LIMIT,
        mode=_search_mode(message.mode),
        filter=filter_from_message(message.filter) if message.HasField("filter") else None,
        score_threshold=message.score_threshold if message.HasField("score_threshold") else None,
        explain=message.explain,
    )


def new_collection(message: collection_pb.CreateCollectionRequest) -> NewCollection:
    """A collection to make."""
    kinds = {name: _sort_kind(kind) for name, kind in message.sortable.items()}
    return NewCollection(
        name=collection_name(message.name, field="name"),
        description=message.description,
        language=message.language,
        encoder=message.encoder,
        chunking=Chunking(message.chunking.max_tokens, message.chunking.overlap_tokens),
        default_access=_default_access(message.default_access) or DefaultAccess.OPEN,
        sortable=parse_sortable(kinds),
    )


def collection_change(message: collection_pb.UpdateCollectionRequest) -> CollectionChange:
    """What of a collection changes, by its mask."""
    paths = _collection_paths(message)
    access = _default_access(message.default_access)
    if "default_access" in paths and access is None:
        raise InvalidError.of("default_access", "must be open or restricted")
    return CollectionChange(
        description=message.description if "description" in paths else None,
        default_access=access if "default_access" in paths else None,
    )


def index_change(message: collection_pb.UpdateCollectionRequest) -> IndexChange | None:
    """What of its index changes, by the same mask; None when nothing is said about it."""
    paths = _collection_paths(message)
    if not paths & _INDEX_PATHS:
        return None
    return IndexChange(
        encoder=message.encoder if "encoder" in paths else None,
        chunking=chunking_from_message(message.chunking) if "chunking" in paths else None,
        language=message.language if "language" in paths else None,
        policy=policy_from_message(message.migration_policy)
        if "migration_policy" in paths
        else None,
    )


def _collection_paths(message: collection_pb.UpdateCollectionRequest) -> frozenset[str]:
    return masked_paths(message.update_mask, {"description", "default_access"} | _INDEX_PATHS)


def upload_of(message: document_pb.NewDocument) -> Upload:
    """A document with its content."""
    if message.WhichOneof("content") == "text":
        content_type = message.header.content_type or TEXT_TYPE
        return headed(message.header, message.text.encode(), content_type=content_type)
    return headed(message.header, message.body, content_type=message.header.content_type)


def headed(header: document_pb.DocumentHeader, content: bytes, *, content_type: str) -> Upload:
    """The document of a header and its content."""
    return Upload(
        content=content,
        document_id=header.document_id or None,
        filename=header.filename,
        content_type=content_type,
        title=header.title,
        metadata=Metadata.parse(fields_of(header.metadata)),
        access=_access(header.access) if header.HasField("access") else None,
    )


def document_change(message: documents_pb.UpdateDocumentRequest) -> DocumentChange:
    """What of a document changes, by its mask."""
    paths = masked_paths(message.update_mask, {"title", "metadata", "access"})
    set_access = "access" in paths and message.HasField("access")
    return DocumentChange(
        title=message.title if "title" in paths else None,
        metadata=Metadata.parse(fields_of(message.metadata)) if "metadata" in paths else None,
        access=_access(message.access) if set_access else None,
        reset_access="access" in paths and not set_access,
    )


def _access(message: access_pb2.AccessList) -> Access:
    return Access(tuple(message.groups))


def masked_paths(mask: FieldMask, known: Collection[str]) -> frozenset[str]:
    paths = frozenset(mask.paths)
    if not paths:
        raise InvalidError.of("update_mask", "must name what changes")
    if not paths <= frozenset(known):
        raise InvalidError.of("update_mask", "must name " + ", ".join(sorted(known)))
    return paths


def _role(role: answer_pb2.TurnRole.ValueType) -> str:
    return {answer_pb2.TURN_ROLE_USER: "user", answer_pb2.TURN_ROLE_ASSISTANT: "assistant"}.get(
        role, ""
    )


def _cache_mode(mode: ask_pb.CacheMode.ValueType) -> CacheMode:
    modes = {
        ask_pb.CACHE_MODE_UNSPECIFIED: CacheMode.USE,
        ask_pb.CACHE_MODE_USE: CacheMode.USE,
        ask_pb.CACHE_MODE_BYPASS: CacheMode.BYPASS,
        ask_pb.CACHE_MODE_REFRESH: CacheMode.REFRESH,
    }
    if mode not in modes:
        raise InvalidError.of("cache", "must be one of use, bypass, refresh")
    return modes[mode]


def _search_mode(mode: search_pb2.SearchMode.ValueType) -> SearchMode:
    modes = {
        search_pb2.SEARCH_MODE_UNSPECIFIED: SearchMode.HYBRID,
        search_pb2.SEARCH_MODE_HYBRID: SearchMode.HYBRID,
        search_pb2.SEARCH_MODE_DENSE: SearchMode.DENSE,
        search_pb2.SEARCH_MODE_KEYWORD: SearchMode.KEYWORD,
    }
    if mode not in modes:
        raise InvalidError.of("mode", "must be one of hybrid, dense, keyword")
    return modes[mode]


def _default_access(access: access_pb2.DefaultAccess.ValueType) -> DefaultAccess | None:
    known = {
        access_pb2.DEFAULT_ACCESS_UNSPECIFIED: None,
        access_pb2.DEFAULT_ACCESS_OPEN: DefaultAccess.OPEN,
        access_pb2.DEFAULT_ACCESS_RESTRICTED: DefaultAccess.RESTRICTED,
    }
    if access not in known:
        raise InvalidError.of("default_access", "must be open or restricted")
    return known[access]


def _sort_kind(kind: document_pb2.SortKind.ValueType) -> str:
    return {
        document_pb2.SORT_KIND_NUMBER: "number",
        document_pb2.SORT_KIND_DATETIME: "datetime",
    }.get(kind, "")
