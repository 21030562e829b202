"""Chat of any OpenAI-compatible endpoint, through the `openai` client.

The client is imported when an endpoint is opened: it takes a second, and a mesh that has no
endpoint must not pay for it. It neither retries nor waits for itself; the engine does both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ragmesh.core.errors import (
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RagmeshError,
)
from ragmesh.generation.ports import ChatEnd, ChatMessage, ChatPiece, ChatText

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionChunk

_NO_KEY = "none"
"""The client insists on one."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 600.0
"""The engine's patience is far shorter; this bound only keeps the client from waiting for ever."""
_TOO_MANY, _REQUEST_TIMEOUT, _CONFLICT = 429, 408, 409
_FIRST_SERVER_ERROR = 500
_STOPPED = frozenset({"stop", "eos", "end_turn"})
"""Finish reasons of a model that had said all; others cut it off."""


@dataclass(frozen=True, slots=True)
class OpenAIEndpoint:
    """Where a model is reached, and what it is sent besides the conversation."""

    url: str
    """The base of the interface, mostly ending in /v1."""
    model: str
    parameters: Mapping[str, Any]
    """Further fields of each request, such as `temperature`."""
    key: str
    """Empty for an endpoint that asks for none."""


@asynccontextmanager
async def open_openai_chat(endpoint: OpenAIEndpoint) -> AsyncGenerator[OpenAIChat, None]:
    """The endpoint's chat; its connections are closed with the block."""
    client = await asyncio.to_thread(_client, endpoint)
    async with client:
        yield OpenAIChat(client, endpoint)


def _client(endpoint: OpenAIEndpoint) -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(
        api_key=endpoint.key or _NO_KEY,
        base_url=endpoint.url,
        max_retries=0,
        timeout=openai.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
    )


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """One model behind one endpoint; made by `open_openai_chat`."""

    client: openai.AsyncOpenAI
    endpoint: OpenAIEndpoint

    async def complete(self, messages: Sequence[ChatMessage]) -> AsyncGenerator[ChatPiece, None]:
        """Stream the model's next message; closing it closes the connection."""
        with _mapped():
            stream = await self.client.chat.completions.create(
                model=self.endpoint.model,
                messages=[_message(message) for message in messages],
                stream=True,
                stream_options={"include_usage": True},
                extra_body=dict(self.endpoint.parameters),
            )
        end = _End()
        try:
            with _mapped():
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


@contextmanager
def _mapped() -> Iterator[None]:
    """The client's errors as those of the port; what it was sent is not repeated in them."""
    import openai

    try:
        yield
    except openai.APITimeoutError as error:
        raise ProviderTimeoutError("the provider did not answer in time") from error
    except openai.APIConnectionError as error:
        raise ProviderUnavailableError("the provider cannot be reached") from error
    except openai.APIStatusError as error:
        # Not chained: what a provider says of a refused request may repeat its key or its text.
        raise _of_status(error.status_code, error.response.headers) from None
    except (openai.APIResponseValidationError, ValueError, TypeError) as error:
        raise ProviderReplyError("the provider's reply is not that of a chat") from error
    except openai.APIError as error:
        raise ProviderUnavailableError("the provider failed in mid-answer") from error


def _of_status(status: int, headers: Mapping[str, str]) -> RagmeshError:
    wait = _retry_after(headers.get("retry-after"))
    if status == _TOO_MANY:
        return ProviderOverloadedError(
            "the provider takes no more requests just now", retry_after_seconds=wait
        )
    if status >= _FIRST_SERVER_ERROR or status in {_REQUEST_TIMEOUT, _CONFLICT}:
        return ProviderUnavailableError(f"the provider answered {status}", retry_after_seconds=wait)
    return ProviderRefusedError(f"the provider answered {status}")


def _retry_after(value: str | None) -> float | None:
    """Seconds from now; None where the header is missing or says nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())
