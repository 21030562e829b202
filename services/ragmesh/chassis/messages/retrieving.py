"""Searches of one index version, as the gateway asks retrieval."""

from __future__ import annotations

from ragmesh.api.retrieval.v1 import retrieval_service_pb2 as pb
from ragmesh.chassis.messages.filters import filter_from_message, filter_to_message
from ragmesh.chassis.messages.parts import finite
from ragmesh.chassis.messages.questions import question_from_text
from ragmesh.chassis.messages.search import SEARCH_MODES
from ragmesh.core.questions import parse_limit
from ragmesh.core.search import RetrieveQuery


def retrieve_query_to_message(query: RetrieveQuery) -> pb.RetrieveRequest:
    """A search; a limit that the service would refuse is refused here, as it may not fit."""
    return pb.RetrieveRequest(
        index_version_uid=query.index_version_uid,
        collection_uid=query.collection_uid,
        question=query.question.text,
        limit=parse_limit(query.limit),
        mode=SEARCH_MODES.number(query.mode),
        filter=None if query.filter is None else filter_to_message(query.filter),
        score_threshold=query.score_threshold,
        explain=query.explain,
        context_tokens=query.context_tokens,
    )


def retrieve_query_from_message(message: pb.RetrieveRequest) -> RetrieveQuery:
    """A search."""
    return RetrieveQuery(
        index_version_uid=message.index_version_uid,
        collection_uid=message.collection_uid,
        question=question_from_text(message.question),
        limit=message.limit,
        mode=SEARCH_MODES.member(message.mode, field="mode"),
        filter=filter_from_message(message.filter) if message.HasField("filter") else None,
        score_threshold=finite(message.score_threshold, field="score_threshold")
        if message.HasField("score_threshold")
        else None,
        explain=message.explain,
        context_tokens=message.context_tokens if message.HasField("context_tokens") else None,
    )
