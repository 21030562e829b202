"""The fake provider itself: routes, the fault of each request, and what was seen of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ragmesh.testing.embedding import hashed_floats
from ragmesh.testing.provider import replies
from ragmesh.testing.provider.faults import Area, Fault, FaultKind, Script
from ragmesh.testing.provider.wire import Exchange, converse

_AREAS = {
    "/v1/chat/completions": Area.CHAT,
    "/v1/embeddings": Area.EMBEDDINGS,
    "/v1/rerank": Area.RERANK,
    "/v2/rerank": Area.RERANK,
    "/rerank": Area.RERANK,
    "/v1/models": Area.MODELS,
}
_NOT_FOUND = 404
_UNAUTHORIZED = 401
_JSON = "application/json"
Reply = str | Sequence[str] | Callable[[Mapping[str, Any]], str | Sequence[str]]
"""A text, which is cut into words, or its tokens, or what makes either of a request."""

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]
"""What makes a vector of each text."""


async def _hashed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
    return [hashed_floats(text) for text in texts]


@dataclass(slots=True, eq=False)
class ProviderCall:
    """One request as the provider saw it."""

    area: Area
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    tokens_sent: int = 0
    """Of the answer, so far."""
    tokens_after_cancel: int = 0
    """Sent after FakeProvider.mark_cancel; what a real provider would have billed for nothing."""
    finished: bool = False
    """Whether the reply was sent as it was meant to be, faults included."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing more will be sent: by the end, by a fault or because the client went."""
    _cancelled: bool = False
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def has_sent(self, tokens: int) -> None:
        """Wait until so many tokens are out; 0 = until the request is there."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.tokens_sent >= tokens)

    def mark_cancel(self) -> None:
        """From now on tokens are counted as sent for nothing."""
        self._cancelled = True

    async def count_token(self) -> None:
        """Note that a token went out."""
        async with self._progress:
            self.tokens_sent += 1
            self.tokens_after_cancel += self._cancelled
            self._progress.notify_all()


@dataclass(slots=True, eq=False)
class FakeProvider:
    """An OpenAI-compatible server under control; `fake_provider` starts one."""

    reply: Reply = "The documents say so [1]."
    """What chat answers."""
    embed: Embed = _hashed
    """What makes the vectors; unless it is given, words are hashed."""
    models: tuple[str, ...] = ("fake-chat", "fake-embedding", "fake-rerank")
    api_key: str | None = None
    """When given, requests without it are refused with 401."""
    pace_seconds: float = 0.0
    """Between two tokens."""
    calls: list[ProviderCall] = field(default_factory=list)
    """Every request, in the order in which they came."""
    url: str = ""
    """The base URL that clients are given, `http://127.0.0.1:PORT/v1`."""
    _script: Script = field(default_factory=Script)
    _called: asyncio.Condition = field(default_factory=asyncio.Condition)

    def fail(self, *faults: Fault | None, area: Area = Area.CHAT) -> None:
        """Give the next requests of an area these faults in this order; None lets one pass."""
        self._script.queue(area, faults)

    def fail_always(self, fault: Fault, *, area: Area = Area.CHAT) -> None:
        """Give every request of an area this fault, after those that `fail` has queued."""
        self._script.keep(area, fault)

    def heal(self) -> None:
        """Forget all faults."""
        self._script.clear()

    def mark_cancel(self) -> None:
        """Call it at the moment of a cancel: tokens sent later count as sent for nothing."""
        for call in self.calls:
            call.mark_cancel()

    async def call(self, number: int = 1) -> ProviderCall:
        """Wait for the request of this number, from 1, and return it."""
        async with self._called:
            await self._called.wait_for(lambda: len(self.calls) >= number)
        return self.calls[number - 1]

    async def answer(self, exchange: Exchange) -> None:
        """Answer one request, or fail as the script says."""
        request = exchange.request
        area = _AREAS.get(request.path)
        if area is None:
            await _send_json(exchange, replies.refusal(_NOT_FOUND), status=_NOT_FOUND)
            return
        call = ProviderCall(area, request.headers, request.json())
        async with self._called:
            self.calls.append(call)
            self._called.notify_all()
        try:
            if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
                await _send_json(exchange, replies.refusal(_UNAUTHORIZED), status=_UNAUTHORIZED)
            else:
                await self._answer_call(exchange, call, self._script.next(area))
            call.finished = True
        finally:
            call.ended.set()

    async def _answer_call(
        self, exchange: Exchange, call: ProviderCall, fault: Fault | None
    ) -> None:
        if fault is not None and fault.kind is FaultKind.REFUSE:
            headers = {} if fault.retry_after is None else {"retry-after": fault.retry_after}
            body = replies.refusal(fault.status)
            await _send_json(exchange, body, status=fault.status, headers=headers)
            return
        if fault is not None and fault.at_token is None:
            await _break(exchange, fault)
        wrong = None if fault is None else fault.kind
        match call.area:
            case Area.CHAT:
                await self._chat(exchange, call, fault)
            case Area.EMBEDDINGS:
                await _send_json(exchange, await self._embeddings(call.body, wrong), fault=fault)
            case Area.RERANK:
                await _send_json(exchange, replies.reranking(call.body, wrong), fault=fault)
            case Area.MODELS:
                await _send_json(exchange, replies.models(self.models), fault=fault)

    async def _embeddings(self, request: Mapping[str, Any], wrong: FaultKind | None) -> Any:
        vectors = await self.embed(replies.texts_of(request))
        return replies.embeddings(request, vectors, wrong)

    async def _chat(self, exchange: Exchange, call: ProviderCall, fault: Fault | None) -> None:
        tokens = self._tokens(call.body)
        model = str(call.body["model"])
        if fault is not None and fault.kind is FaultKind.CHANGED_MODEL:
            model += replies.CHANGED_SUFFIX
        if call.body.get("stream"):
            await self._stream(exchange, call, model, tokens, fault)
            return
        usage = replies.chat_usage(replies.prompt_tokens(call.body), len(tokens))
        completion = replies.chat_completion(model, "".join(tokens), usage)
        await _send_json(exchange, completion, fault=fault)
        for _ in tokens:
            await call.count_token()

    def _tokens(self, request: Mapping[str, Any]) -> list[str]:
        reply = self.reply(request) if callable(self.reply) else self.reply
        return replies.tokens_of(reply) if isinstance(reply, str) else list(reply)

    async def _stream(
        self,
        exchange: Exchange,
        call: ProviderCall,
        model: str,
        tokens: Sequence[str],
        fault: Fault | None,
    ) -> None:
        await exchange.begin(200, "text/event-stream")
        role = {"role": "assistant", "content": ""}
        await _send_event(exchange, replies.chat_chunk(model, delta=role))
        for number, token in enumerate([*tokens, None]):
            if fault is not None and fault.at_token == number and await _spoil(exchange, fault):
                return
            if token is None:
                break
            if self.pace_seconds and number:
                await asyncio.sleep(self.pace_seconds)
            await _send_event(exchange, replies.chat_chunk(model, delta={"content": token}))
            await call.count_token()
        await _send_event(exchange, replies.chat_chunk(model, finish="stop"))
        if call.body.get("stream_options", {}).get("include_usage"):
            usage = replies.chat_usage(replies.prompt_tokens(call.body), len(tokens))
            await _send_event(exchange, replies.usage_chunk(model, usage))
        await exchange.write(b"data: [DONE]\n\n")
        await exchange.end()


@asynccontextmanager
async def fake_provider(reply: Reply | None = None) -> AsyncIterator[FakeProvider]:
    """Serve a fake provider on a free loopback port until the block is left."""
    provider = FakeProvider() if reply is None else FakeProvider(reply)
    conversations: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None, "asyncio makes a task of each connection"
        conversations.add(conversation)
        try:
            await converse(reader, writer, provider.answer)
        except asyncio.CancelledError:
            # The provider closes; whoever still waits for it sees the connection end.
            return
        finally:
            conversations.discard(conversation)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    provider.url = f"http://{host}:{port}/v1"
    try:
        yield provider
    finally:
        server.close()
        for conversation in tuple(conversations):
            conversation.cancel()
        if conversations:
            await asyncio.wait(tuple(conversations))


async def _send_json(
    exchange: Exchange,
    body: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    fault: Fault | None = None,
) -> None:
    """Send a body in one piece, or break it in its middle."""
    content = json.dumps(body).encode()
    if fault is not None and fault.kind is FaultKind.WRONG_JSON:
        content = content[: len(content) // 2]
    fields = {"content-length": str(len(content)), **(headers or {})}
    await exchange.begin(status, _JSON, fields)
    half = len(content) // 2
    await exchange.write(content[:half])
    if fault is not None and fault.at_token is not None:
        await _break(exchange, fault)
    await exchange.write(content[half:])
    await exchange.end()


async def _send_event(exchange: Exchange, event: Any) -> None:
    await exchange.write(b"data: " + json.dumps(event).encode() + b"\n\n")


async def _break(exchange: Exchange, fault: Fault) -> None:
    """Stall or cut here; other faults spoil what is said instead."""
    if fault.kind is FaultKind.STALL:
        with suppress(TimeoutError):
            async with asyncio.timeout(fault.seconds):
                await asyncio.Event().wait()
    elif fault.kind is FaultKind.CUT:
        await exchange.hang_up()


async def _spoil(exchange: Exchange, fault: Fault) -> bool:
    """Let the fault of a stream happen; True when the stream is over with it."""
    await _break(exchange, fault)
    if fault.kind is FaultKind.WRONG_JSON:
        await exchange.write(b'data: {"choices": [{"delta"\n\n')
        return False
    if fault.kind is FaultKind.ERROR_EVENT:
        await _send_event(exchange, replies.refusal(500))
    elif fault.kind is not FaultKind.END_EARLY:
        return False
    await exchange.end()
    return True
