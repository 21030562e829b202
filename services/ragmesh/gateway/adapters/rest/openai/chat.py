"""Questions as chat completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.requests import current_request_id
from ragmesh.core.answers import Answer, AnswerEvent, AskQuery, Delta
from ragmesh.core.errors import InternalError, InvalidError, RagmeshError
from ragmesh.gateway.adapters.rest.bodies import Body, EvidenceBody
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.openai.completions import ChatReply, Completion, Done
from ragmesh.gateway.adapters.rest.openai.errors import OpenAiError, error_of, renamed
from ragmesh.gateway.adapters.rest.openai.messages import (
    Conversation,
    MessageBody,
    conversation_of,
)
from ragmesh.gateway.adapters.rest.openai.models import collection_of
from ragmesh.gateway.adapters.rest.openai.parameters import IgnoredParameters, RefusedParameters
from ragmesh.gateway.adapters.rest.refusals import COMPLETION, openai_errors
from ragmesh.gateway.adapters.rest.streams import EVENT_STREAM, Piece, opened, while_connected

_STREAM_EXAMPLE = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,'
    '"model":"ragmesh/handbook","choices":[{"index":0,"delta":{"role":"assistant",'
    '"content":"28 days. [1]"},"finish_reason":null,"logprobs":null}]}\n\ndata: [DONE]\n\n'
)


class StreamOptionsBody(Body):
    """How a stream is written."""

    include_usage: bool | None = Field(
        None, description="Whether a chunk without a choice tells the usage at the end."
    )
    include_obfuscation: bool | None = Field(None, description="Without effect.")


class ChatBody(IgnoredParameters, RefusedParameters):
    """A question to a collection, as a conversation."""

    model: str = Field(description="`ragmesh/<collection>`.", examples=["ragmesh/handbook"])
    messages: list[MessageBody] = Field(
        description="The conversation, the oldest message first; the last one is the question.",
        examples=[[{"role": "user", "content": "How many days of leave are there?"}]],
    )
    stream: bool | None = Field(None, description="Whether the answer comes as it is written.")
    stream_options: StreamOptionsBody | None = Field(None, description="Of a stream only.")
    ragmesh: EvidenceBody = Field(EvidenceBody(), description="What OpenAI has no parameters for.")

    def query(self, conversation: Conversation) -> AskQuery:
        """The question as the use case takes it."""
        collection = collection_of(self.model)
        question, history = conversation.question, conversation.history
        try:
            return self.ragmesh.query_of(collection, question, history)
        except InvalidError as error:
            raise renamed(error, conversation.name) from None


class ChatRoutes:
    """Translates conversations; who goes away before the end cancels everything."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        stream = {EVENT_STREAM: {"example": _STREAM_EXAMPLE}}
        router.add_api_route(
            "/chat/completions",
            self.complete,
            methods=["POST"],
            response_model=ChatReply,
            responses={**openai_errors(*COMPLETION), 200: {"content": stream}},
            summary="Answer a question as a chat completion",
        )

    async def complete(self, body: ChatBody, request: Request) -> Any:
        """Answer in one piece, or with `stream` as it is written."""
        caller, service = current_principal(), self._context.service
        if body.stream_options is not None and not body.stream:
            raise InvalidError.of("stream_options", "is of a stream only")
        conversation = conversation_of(body.messages)
        query = body.query(conversation)
        completion = Completion(
            request_id=current_request_id(),
            created=service.clock.now(),
            model=body.model,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
            ignored=(*conversation.ignored, *body.ignored),
        )
        request_id = completion.request_id
        if not body.stream:
            work = service.ask(caller, query, request_id=request_id)
            return completion.whole(await while_connected(request, work))
        events = service.stream_answer(caller, query, request_id=request_id)
        opening = opened(_pieces(events, completion), service.clock, _broken)
        stream = await while_connected(request, opening)
        if stream is None:
            raise InternalError("the answer had no events")
        return stream


async def _pieces(
    events: AsyncGenerator[AnswerEvent, None], completion: Completion
) -> AsyncGenerator[Piece, None]:
    role = {"role": "assistant"}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                yield completion.piece({**role, "content": event.text})
                role = {}
            elif isinstance(event, Answer):
                yield completion.last(event, role)
                if completion.include_usage:
                    yield completion.usage(event)
                yield Done()


def _broken(error: RagmeshError) -> OpenAiError:
    return error_of(error, request_id=current_request_id())
