"""Questions with their evidence, and the events of a generated answer."""

from __future__ import annotations

from collections.abc import Iterable

from ragmesh.api.generation.v1 import generation_service_pb2 as pb
from ragmesh.api.types.v1.answer_pb2 import Turn as TurnMessage
from ragmesh.chassis.messages.answers import (
    ANSWER_STATUSES,
    citation_from_message,
    citation_to_message,
    turn_from_message,
    turn_to_message,
    usage_from_message,
    usage_to_message,
)
from ragmesh.chassis.messages.parts import finite, refuse_missing
from ragmesh.chassis.messages.questions import question_from_text
from ragmesh.chassis.messages.search import retrieval_from_message, retrieval_to_message
from ragmesh.core.answers import (
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    Turn,
)
from ragmesh.core.errors import InvalidError


def generate_query_to_message(query: GenerateQuery) -> pb.GenerateRequest:
    """A question with its evidence."""
    return pb.GenerateRequest(
        question=query.question.text,
        retrieval=retrieval_to_message(query.retrieval),
        language=query.language,
        history=[turn_to_message(turn) for turn in query.history],
        free_only=query.free_only,
    )


def generate_query_from_message(message: pb.GenerateRequest) -> GenerateQuery:
    """A question with its evidence."""
    refuse_missing(message, "retrieval")
    return GenerateQuery(
        question=question_from_text(message.question),
        retrieval=retrieval_from_message(message.retrieval),
        language=message.language,
        history=_history(message.history),
        free_only=message.free_only,
    )


def rewrite_query_to_message(query: RewriteQuery) -> pb.RewriteQuestionRequest:
    """A question with what was said before it."""
    return pb.RewriteQuestionRequest(
        question=query.question.text,
        history=[turn_to_message(turn) for turn in query.history],
        language=query.language,
        free_only=query.free_only,
    )


def rewrite_query_from_message(message: pb.RewriteQuestionRequest) -> RewriteQuery:
    """A question with what was said before it."""
    return RewriteQuery(
        question_from_text(message.question),
        _history(message.history),
        message.language,
        message.free_only,
    )


def rewritten_to_message(rewritten: Rewritten) -> pb.RewriteQuestionResponse:
    """A question to search with."""
    return pb.RewriteQuestionResponse(
        question=rewritten.question.text,
        usage=usage_to_message(rewritten.usage),
        degraded=rewritten.degraded,
    )


def rewritten_from_message(message: pb.RewriteQuestionResponse) -> Rewritten:
    """A question to search with."""
    return Rewritten(
        question_from_text(message.question),
        usage_from_message(message.usage),
        tuple(message.degraded),
    )


def generation_event_to_message(event: GenerationEvent) -> pb.GenerateResponse:
    """One event of an answer."""
    match event:
        case Delta(text):
            return pb.GenerateResponse(delta=pb.Delta(text=text))
        case Citation():
            return pb.GenerateResponse(citation=citation_to_message(event))
        case Generated():
            return pb.GenerateResponse(generated=_generated_to_message(event))


def generation_event_from_message(message: pb.GenerateResponse) -> GenerationEvent:
    """One event of an answer; a message that holds none is refused."""
    match message.WhichOneof("event"):
        case "delta":
            return Delta(message.delta.text)
        case "citation":
            return citation_from_message(message.citation)
        case "generated":
            return _generated_from_message(message.generated)
        case _:
            raise InvalidError.of("event", "must be a delta, a citation or the end")


def engine_to_message(engine: EngineDescription) -> pb.EngineDescription:
    """An engine with its model and prompt."""
    return pb.EngineDescription(
        engine=engine.engine,
        model=engine.model,
        prompt_version=engine.prompt_version,
        rewriter=engine.rewriter,
        prompt_dollars=engine.prompt_dollars,
        completion_dollars=engine.completion_dollars,
    )


def engine_from_message(message: pb.EngineDescription) -> EngineDescription:
    """An engine with its model and prompt."""
    return EngineDescription(
        message.engine,
        message.model,
        message.prompt_version,
        message.rewriter,
        finite(message.prompt_dollars, field="prompt_dollars"),
        finite(message.completion_dollars, field="completion_dollars"),
    )


def _history(turns: Iterable[TurnMessage]) -> tuple[Turn, ...]:
    return tuple(
        turn_from_message(turn, field=f"history[{position}]") for position, turn in enumerate(turns)
    )


def _generated_to_message(event: Generated) -> pb.Generated:
    return pb.Generated(
        status=ANSWER_STATUSES.number(event.status),
        confidence=event.confidence,
        groundedness=event.groundedness,
        model=event.model,
        usage=usage_to_message(event.usage),
        degraded=event.degraded,
    )


def _generated_from_message(message: pb.Generated) -> Generated:
    return Generated(
        status=ANSWER_STATUSES.member(message.status, field="generated.status"),
        confidence=finite(message.confidence, field="generated.confidence"),
        groundedness=finite(message.groundedness, field="generated.groundedness"),
        model=message.model,
        usage=usage_from_message(message.usage),
        degraded=tuple(message.degraded),
    )
