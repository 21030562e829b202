"""A service that answers as each test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from ragmesh.chassis.requests import current_request_id, remaining_seconds

SERVICE = "test.v1.EchoService"


@dataclass
class Echo:
    """Answers as each test says, and remembers what it saw of the request around a call."""

    behave: Callable[[str], Any] = lambda text: text
    calls: int = 0
    request_ids: list[str] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    remaining: list[float | None] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def echo(self, request: StringValue, context: Any) -> StringValue:
        self._saw()
        self.peers.add(context.peer())
        return StringValue(value=await self._behaved(request.value))

    async def echo_many(self, request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
        self._saw()
        for letter in request.value:
            yield StringValue(value=await self._behaved(letter))

    async def join(self, requests: AsyncIterator[StringValue], _context: Any) -> StringValue:
        self._saw()
        parts = [request.value async for request in requests]
        return StringValue(value=await self._behaved("".join(parts)))

    async def echo_each(
        self, requests: AsyncIterator[StringValue], _context: Any
    ) -> AsyncIterator[StringValue]:
        self._saw()
        async for request in requests:
            yield StringValue(value=await self._behaved(request.value))

    def register(self, server: grpc.aio.Server) -> None:
        read, write = StringValue.FromString, StringValue.SerializeToString
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo, read, write),
            "EchoMany": grpc.unary_stream_rpc_method_handler(self.echo_many, read, write),
            "Join": grpc.stream_unary_rpc_method_handler(self.join, read, write),
            "WatchEcho": grpc.unary_stream_rpc_method_handler(self.echo_many, read, write),
            "EchoEach": grpc.stream_stream_rpc_method_handler(self.echo_each, read, write),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def _behaved(self, text: str) -> str:
        self.started.set()
        try:
            answer = self.behave(text)
            said: str = await answer if asyncio.iscoroutine(answer) else answer
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return said

    def _saw(self) -> None:
        self.calls += 1
        self.request_ids.append(current_request_id())
        self.remaining.append(remaining_seconds())


class Stub:
    """What generated code would make of the service."""

    def __init__(self, made: Any) -> None:
        read, write = StringValue.FromString, StringValue.SerializeToString
        self.echo = made.unary_unary(f"/{SERVICE}/Echo", write, read)
        self.echo_many = made.unary_stream(f"/{SERVICE}/EchoMany", write, read)
        self.watch_echo = made.unary_stream(f"/{SERVICE}/WatchEcho", write, read)
        self.join = made.stream_unary(f"/{SERVICE}/Join", write, read)
        self.echo_each = made.stream_stream(f"/{SERVICE}/EchoEach", write, read)
