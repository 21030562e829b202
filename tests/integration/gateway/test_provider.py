"""A question through both doors to a provider and back: events, usage, cost, and who leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.answers import Answer, AnswerStatus
from ragmesh.core.errors import ProviderUnavailableError
from ragmesh.gateway.parsing import parse_ask
from ragmesh.generation.adapters.language_model import LanguageModelEngine, ModelRules
from ragmesh.generation.adapters.openai_chat import OpenAIEndpoint, open_openai_chat
from ragmesh.generation.adapters.patience import Patience
from ragmesh.generation.prices import Price
from ragmesh.generation.service import GenerationService
from ragmesh.testing.chat import CountedSpending
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from ragmesh.testing.provider import FakeProvider, cut, fake_provider, refuse, stall

TOKENS = ["A", " new", " colleague", " has", " 28", " days", " [1]", "."]
TEXT = "A new colleague has 28 days [1]."
ASK = parse_ask(COLLECTION, "How many days?")
PATH = f"/api/v1/collections/{COLLECTION}/ask"
QUESTION = {"question": "How many days?"}
STREAM = {"accept": "text/event-stream"}
PRICE = Price(2.0, 10.0)
ENOUGH = 60.0


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider(TOKENS) as provider:
        yield provider


@pytest.fixture
async def mesh(provider: FakeProvider) -> AsyncIterator[FakeMesh]:
    endpoint = OpenAIEndpoint("main", provider.url, "fake-chat", {}, "")
    patience = Patience(attempts=1, first_token_seconds=ENOUGH, token_seconds=ENOUGH)
    rules = ModelRules("main", "fake-chat", 0.0, 8_000, patience=patience, price=PRICE)
    async with open_openai_chat(endpoint, SystemClock()) as chat:
        engine = LanguageModelEngine(rules, chat, CountedSpending(), SystemClock())
        mesh = FakeMesh(generator=GenerationService((engine,)), clock=SystemClock())  # type: ignore[arg-type]
        yield await mesh.with_collection()


async def events_of(http: httpx.AsyncClient) -> list[tuple[str, dict[str, object]]]:
    events = []
    name = ""
    async with http.stream("POST", PATH, json=QUESTION, headers=STREAM, timeout=ENOUGH) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
    return events


async def test_a_stream_over_http_ends_with_exact_usage_and_how_it_is_grounded(
    http: httpx.AsyncClient, provider: FakeProvider, mesh: FakeMesh
) -> None:
    events = await events_of(http)
    prompt = sum(len(m["content"].split()) for m in provider.calls[0].body["messages"])
    assert "".join(str(data["text"]) for name, data in events if name == "delta") == TEXT
    assert [name for name, _ in events if name != "delta"] == ["citation", "usage", "finish"]
    usage, finish = events[-2][1], events[-1][1]
    assert usage["prompt_tokens"] == prompt
    assert usage["completion_tokens"] == len(TOKENS)
    assert usage["cost_dollars"] == PRICE.of(prompt, len(TOKENS))
    assert (finish["status"], finish["groundedness"]) == ("ANSWERED", 1.0)
    assert len(mesh.cache.stores) == 1


async def test_an_answer_over_grpc_says_the_same(
    client: GatewayClient, provider: FakeProvider
) -> None:
    async with aclosing(client.stream_answer(ASK)) as events:
        answer = [event async for event in events][-1]
    assert isinstance(answer, Answer)
    assert (answer.answer, answer.status, answer.groundedness) == (TEXT, AnswerStatus.ANSWERED, 1)
    assert answer.usage.completion_tokens == len(TOKENS)
    assert answer.usage.cost_dollars > 0


async def test_a_provider_that_dies_in_mid_answer_leaves_a_partial_one_that_is_not_kept(
    http: httpx.AsyncClient, client: GatewayClient, provider: FakeProvider, mesh: FakeMesh
) -> None:
    provider.fail(cut(at_token=4), cut(at_token=4))
    finish = (await events_of(http))[-1][1]
    assert finish["status"] == "PARTIAL"
    async with aclosing(client.stream_answer(ASK)) as events:
        answer = [event async for event in events][-1]
    assert isinstance(answer, Answer)
    assert (answer.status, answer.answer) == (AnswerStatus.PARTIAL, "A new colleague has")
    assert not mesh.cache.stores


async def test_a_provider_that_is_away_is_told_with_its_reason(
    http: httpx.AsyncClient, client: GatewayClient, provider: FakeProvider
) -> None:
    provider.fail_always(refuse(503, retry_after="9"))
    reply = await http.post(PATH, json=QUESTION)
    assert (reply.status_code, reply.json()["reason"]) == (503, "PROVIDER_UNAVAILABLE")
    assert reply.headers["retry-after"] == "9"
    with pytest.raises(ProviderUnavailableError):
        await client.ask(ASK)


@pytest.mark.parametrize("token", [None, 0, 3])
async def test_who_leaves_over_grpc_stops_the_provider_at_once(
    client: GatewayClient, provider: FakeProvider, token: int | None
) -> None:
    provider.fail(stall(at_token=token))

    async def read() -> None:
        async with aclosing(client.stream_answer(ASK)) as events:
            async for _ in events:
                pass

    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        call = await provider.call()
        await call.has_sent(token or 0)
        provider.mark_cancel()
        reading.cancel()
        await call.ended.wait()
    assert (call.tokens_after_cancel, call.finished) == (0, False)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("token", [None, 0, 3])
async def test_who_leaves_over_http_stops_the_provider_at_once(
    http: httpx.AsyncClient, provider: FakeProvider, token: int | None, accept: str
) -> None:
    provider.fail(stall(at_token=token))
    async with asyncio.timeout(ENOUGH), asyncio.TaskGroup() as group:
        asked = http.post(PATH, json=QUESTION, headers={"accept": accept}, timeout=ENOUGH)
        reading = group.create_task(asked)
        call = await provider.call()
        await call.has_sent(token or 0)
        provider.mark_cancel()
        reading.cancel()
        await call.ended.wait()
    assert (call.tokens_after_cancel, call.finished) == (0, False)


async def test_who_leaves_after_the_last_token_leaves_a_finished_call(
    client: GatewayClient, provider: FakeProvider
) -> None:
    async with aclosing(client.stream_answer(ASK)) as events:
        async for event in events:
            if isinstance(event, Answer):
                break
    call = await provider.call()
    await call.ended.wait()
    assert (call.tokens_sent, call.finished) == (len(TOKENS), True)
