"""Both doors refuse alike, and neither waits for who does not send or does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import grpc
import httpx
import pytest

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from ragmesh.api.gateway.v1 import ask_service_pb2_grpc as pb_grpc
from ragmesh.chassis.grpc_servers import GrpcServer
from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.answers import AskQuery, Delta, GenerateQuery, GenerationEvent
from ragmesh.core.callers import Caller
from ragmesh.core.errors import RateLimitedError
from ragmesh.core.questions import Question
from ragmesh.gateway.limiting.quotas import Allowance, Allowances, EqualQuotas
from ragmesh.testing.gateway import FakeMesh
from tests.integration.gateway.conftest import WatchedGenerator

ASK = "/api/v1/collections/handbook/ask"
QUESTION = AskQuery("handbook", Question.parse("How many days of leave?"))
ENOUGH = 20.0
STREAM = pb.StreamAnswerRequest(
    ask=pb.AskRequest(collection="handbook", question="Why?", cache=pb.CACHE_MODE_BYPASS)
)


async def to_the_end(call: grpc.aio.UnaryStreamCall[pb.StreamAnswerRequest, Any]) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


class Endless(WatchedGenerator):
    """Writes until it is left."""

    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncGenerator[GenerationEvent, None]:
        try:
            while True:
                yield Delta("owls " * 20_000)
                await asyncio.sleep(0)
        finally:
            self.left.set()


class TestOneLimit:
    """A key that may send two requests a minute, whichever door it takes."""

    @pytest.fixture
    async def mesh(self) -> FakeMesh:
        allowances = Allowances(Allowance(requests_per_minute=2))
        return await FakeMesh(quotas=EqualQuotas(allowances)).with_collection()

    async def test_both_doors_count_together_and_say_when_to_come_again(
        self, client: GatewayClient, http: httpx.AsyncClient
    ) -> None:
        await client.ask(QUESTION)
        assert (await http.post(ASK, json={"question": "How many?"})).status_code == 200
        reply = await http.post(ASK, json={"question": "How many?"})
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "30")
        async with asyncio.timeout(ENOUGH):
            with pytest.raises(RateLimitedError) as caught:
                await client.ask(QUESTION)
        assert caught.value.retry_after_seconds == 30
        assert caught.value.metadata == {"scope": "key", "limit": "2"}


class TestReaderThatStops:
    """An engine that writes more than any buffer on the way holds, to a reader that reads once."""

    @pytest.fixture
    def pause(self) -> float:
        return 0.3

    @pytest.fixture
    def generator(self) -> Endless:
        return Endless()

    async def test_its_answer_over_grpc_is_ended(
        self, grpc_server: GrpcServer, left: asyncio.Event
    ) -> None:
        async with (
            grpc.aio.insecure_channel(grpc_server.address) as channel,
            asyncio.timeout(ENOUGH),
        ):
            call = pb_grpc.AskServiceStub(channel).StreamAnswer(STREAM)
            assert await call.read() is not grpc.aio.EOF
            await left.wait()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await to_the_end(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "took nothing" in (caught.value.details() or "")

    async def test_its_connection_over_http_is_cut(
        self, http: httpx.AsyncClient, left: asyncio.Event
    ) -> None:
        url = http.base_url
        body = b'{"question": "Why?", "cache": "bypass"}'
        async with asyncio.timeout(ENOUGH):
            reader, writer = await asyncio.open_connection(url.host, url.port, limit=1)
            writer.write(
                b"POST %b HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
                b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                % (ASK.encode(), len(body), body)
            )
            await reader.read(1)
            await left.wait()
            with suppress(ConnectionResetError):
                assert b"event: finish" not in await reader.read()
            assert reader.at_eof() or reader.exception() is not None
            writer.close()
