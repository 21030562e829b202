"""A server of every internal method there is, which answers who was let in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import groupby
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from ragmesh.chassis.callers import Metadata, current_caller
from tests.unit.chassis.identity.contract import internal_methods, path_of


class Everything:
    """Answers each method with the name of its caller; messages are plain bytes."""

    def __init__(self) -> None:
        self.served = 0
        self.work: Callable[[], Awaitable[object]] | None = None

    async def unary(self, _request: Any, _context: Any) -> bytes:
        self.served += 1
        if self.work is not None:
            await self.work()
        return str(current_caller()).encode()

    async def stream(self, request: Any, context: Any) -> AsyncIterator[bytes]:
        yield await self.unary(request, context)

    def register(self, server: grpc.aio.Server) -> None:
        for service, methods in groupby(internal_methods(), lambda m: m.containing_service):
            handlers = {method.name: self._handler(method) for method in methods}
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            server.add_generic_rpc_handlers((generic,))

    def _handler(self, method: MethodDescriptor) -> Any:
        make = getattr(grpc, f"{_kind(method)}_rpc_method_handler")
        return make(self.stream if method.server_streaming else self.unary)


def calls(made: Any) -> Iterator[tuple[str, Callable[[Metadata], Any]]]:
    """Every method by its path, as something to call with metadata."""
    for method in internal_methods():
        stub = getattr(made, _kind(method))(path_of(method))
        yield path_of(method), _call(stub, method)


def _call(stub: Any, method: MethodDescriptor) -> Callable[[Metadata], Any]:
    async def ask(metadata: Metadata) -> bytes:
        request = _one() if method.client_streaming else b""
        replies = stub(request, metadata=metadata, timeout=10.0)
        if not method.server_streaming:
            return bytes(await replies)
        (reply,) = [reply async for reply in replies]
        return bytes(reply)

    return ask


async def _one() -> AsyncIterator[bytes]:
    yield b""


def _kind(method: MethodDescriptor) -> str:
    sides = (method.client_streaming, method.server_streaming)
    return "_".join("stream" if streams else "unary" for streams in sides)
