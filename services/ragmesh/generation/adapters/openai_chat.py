"""Chat of any OpenAI-compatible endpoint, through the `openai` client.

Importing the client takes a second: who opens an endpoint imports this module then, since a mesh
that has none must not pay for it. The client neither retries nor waits for itself; the engine does
both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk

from ragmesh.chassis.providers import provider_errors
from ragmesh.core.clock import Clock
from ragmesh.core.errors import ProviderUnavailableError
from ragmesh.generation.ports import ChatEnd, ChatMessage, ChatPiece, ChatText
from ragmesh.generation.settings import EndpointSettings, GenerationSettings

_NO_KEY = "none"
"""The client insists on one."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 600.0
"""The engine's patience is far shorter; this bound only keeps the client from waiting for ever."""
_STOPPED = frozenset({"stop", "eos", "end_turn"})
"""Finish reasons of a model that had said all; others cut it off."""


@dataclass(frozen=True, slots=True)
class OpenAIEndpoint:
    """Where a model is reached, and what it is sent besides the conversation."""

    name: str
    """As the settings call it, for errors."""
    url: str
    """The base of the interface, mostly ending in /v1."""
    model: str
    parameters: Mapping[str, Any]
    """Further fields of each request, such as `temperature`."""
    key: str
    """Empty for an endpoint that asks for none."""

    @classmethod
    def configured(cls, settings: GenerationSettings, endpoint: EndpointSettings) -> OpenAIEndpoint:
        """What the settings say of one of their endpoints of kind `openai`."""
        return cls(
            endpoint.name,
            str(endpoint.url),
            str(endpoint.model),
            endpoint.parameters,
            settings.key_of(endpoint),
        )


@asynccontextmanager
async def open_openai_chat(
    endpoint: OpenAIEndpoint, clock: Clock
) -> AsyncGenerator[OpenAIChat, None]:
    """The endpoint's chat; its connections are closed with the block."""
    client = openai.AsyncOpenAI(
        api_key=endpoint.key or _NO_KEY,
        base_url=endpoint.url,
        max_retries=0,
        timeout=openai.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
    )
    # The library reads these from the environment; here, settings are what is configured.
    client.organization = client.project = None
    async with client:
        yield OpenAIChat(client, endpoint, clock)


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """One model behind one endpoint; made by `open_openai_chat`."""

    client: openai.AsyncOpenAI
    endpoint: OpenAIEndpoint
    clock: Clock

    async def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        """Stream the model's next message; closing it closes the connection."""
        with provider_errors(self.endpoint.name, self.clock.now()):
            stream = await self.client.chat.completions.create(
                model=self.endpoint.model,
                messages=[_message(message) for message in messages],
                stream=True,
                stream_options={"include_usage": True},
                extra_body=dict(self.endpoint.parameters),
            )
        end = _End()
        try:
            with provider_errors(self.endpoint.name, self.clock.now()):
                async for chunk in stream:
                    text = end.read(chunk)
                    if text:
                        yield ChatText(text)
        finally:
            # Also when nobody reads on: an open connection is a model that goes on at our cost.
            await stream.close()
        yield end.piece()


@dataclass(slots=True)
class _End:
    """What the chunks say besides text, gathered up to the last one."""

    finish: str | None = None
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def read(self, chunk: ChatCompletionChunk) -> str:
        """Take in a chunk; its text."""
        self.model = chunk.model or self.model
        if chunk.usage is not None:
            self.prompt_tokens = chunk.usage.prompt_tokens
            self.completion_tokens = chunk.usage.completion_tokens
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self.finish = choice.finish_reason or self.finish
        return (choice.delta and choice.delta.content) or ""

    def piece(self) -> ChatEnd:
        """The end, which a provider that goes away never says."""
        if self.finish is None:
            raise ProviderUnavailableError("the stream ended before the model had finished")
        return ChatEnd(
            self.finish in _STOPPED, self.model, self.prompt_tokens, self.completion_tokens
        )


def _message(message: ChatMessage) -> Any:
    return {"role": message.role, "content": message.text}
