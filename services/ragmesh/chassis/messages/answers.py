"""Answers, the events they are streamed as, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ragmesh.api.types.v1 import answer_pb2
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import finite, inside, refuse_missing
from ragmesh.chassis.messages.search import timings_from_messages, timings_to_messages
from ragmesh.chassis.messages.spans import span_from_message, span_to_message
from ragmesh.core.answers import Answer, AnswerStatus, Citation, Turn, Usage
from ragmesh.core.errors import InvalidError

ANSWER_STATUSES = EnumNumbers(AnswerStatus, answer_pb2.AnswerStatus)
_ROLES: Mapping[str, answer_pb2.TurnRole.ValueType] = MappingProxyType(
    {"user": answer_pb2.TURN_ROLE_USER, "assistant": answer_pb2.TURN_ROLE_ASSISTANT}
)
_ROLE_NAMES = MappingProxyType({number: role for role, number in _ROLES.items()})


def answer_to_message(answer: Answer) -> answer_pb2.Answer:
    """A finished answer."""
    return answer_pb2.Answer(
        answer=answer.answer,
        status=ANSWER_STATUSES.number(answer.status),
        citations=[citation_to_message(citation) for citation in answer.citations],
        confidence=answer.confidence,
        groundedness=answer.groundedness,
        cached=answer.cached,
        model=answer.model,
        usage=usage_to_message(answer.usage),
        index_version=answer.index_version,
        heads_sequence=answer.heads_sequence,
        request_id=answer.request_id,
        timings=timings_to_messages(answer.timings_ms),
        degraded=answer.degraded,
    )


def answer_from_message(message: answer_pb2.Answer, *, field: str = "answer") -> Answer:
    """A finished answer."""
    return Answer(
        answer=message.answer,
        status=ANSWER_STATUSES.member(message.status, field=f"{field}.status"),
        citations=citations_from_messages(message.citations, field=f"{field}.citations"),
        confidence=finite(message.confidence, field=f"{field}.confidence"),
        groundedness=finite(message.groundedness, field=f"{field}.groundedness"),
        cached=message.cached,
        model=message.model,
        usage=usage_from_message(message.usage),
        index_version=message.index_version,
        heads_sequence=message.heads_sequence,
        request_id=message.request_id,
        timings_ms=timings_from_messages(message.timings),
        degraded=tuple(message.degraded),
    )


def citation_to_message(citation: Citation) -> answer_pb2.Citation:
    """A citation."""
    return answer_pb2.Citation(
        marker=citation.marker,
        document_uid=citation.document_uid,
        document_id=citation.document_id,
        revision=citation.revision,
        title=citation.title,
        chunk_id=citation.chunk_id,
        quote=citation.quote,
        span=span_to_message(citation.span),
        page=citation.page,
        headings=citation.headings,
    )


def citation_from_message(message: answer_pb2.Citation, *, field: str = "citation") -> Citation:
    """A citation, which always says where its quote stands."""
    refuse_missing(message, "span", field=field)
    return Citation(
        marker=message.marker,
        document_uid=message.document_uid,
        document_id=message.document_id,
        revision=message.revision,
        title=message.title,
        chunk_id=message.chunk_id,
        quote=message.quote,
        span=span_from_message(message.span, field=f"{field}.span"),
        page=message.page if message.HasField("page") else None,
        headings=tuple(message.headings),
    )


def citations_from_messages(
    messages: Iterable[answer_pb2.Citation], *, field: str = "citations"
) -> tuple[Citation, ...]:
    """Citations in their order."""
    return tuple(
        citation_from_message(message, field=f"{field}[{position}]")
        for position, message in enumerate(messages)
    )


def usage_to_message(usage: Usage) -> answer_pb2.Usage:
    """What an answer cost."""
    return answer_pb2.Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost_dollars=usage.cost_dollars,
    )


def usage_from_message(message: answer_pb2.Usage) -> Usage:
    """What an answer cost; a message without a usage cost nothing."""
    return Usage(message.prompt_tokens, message.completion_tokens, message.cost_dollars)


def turn_to_message(turn: Turn) -> answer_pb2.Turn:
    """An earlier message of a conversation."""
    return answer_pb2.Turn(role=_ROLES[turn.role], text=turn.text)


def turn_from_message(message: answer_pb2.Turn, *, field: str = "turn") -> Turn:
    """An earlier message of a conversation, by a user or the mesh."""
    if message.role not in _ROLE_NAMES:
        raise InvalidError.of(inside(field, "role"), "must be user or assistant")
    return Turn(_ROLE_NAMES[message.role], message.text)
