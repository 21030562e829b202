"""The fake provider is OpenAI-compatible, and fails exactly where it is told to."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ragmesh.testing.embedding import hashed_floats
from ragmesh.testing.provider import (
    Area,
    FakeProvider,
    changed_model,
    cut,
    end_early,
    error_event,
    fake_provider,
    not_a_number,
    refuse,
    stall,
    wrong_dimension,
    wrong_json,
)

TOKENS = ["Dogs", " bark", " [1]", "."]
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Do dogs bark?"}]}


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider(TOKENS) as provider:
        yield provider


@pytest.fixture
async def client(provider: FakeProvider) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=provider.url, timeout=5) as client:
        yield client


async def streamed(client: httpx.AsyncClient, **more: Any) -> list[Any]:
    """The events of a streamed chat, each as JSON; `[DONE]` as it is."""
    events = []
    body = {**CHAT, "stream": True, **more}
    async with client.stream("POST", "chat/completions", json=body) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        async for line in reply.aiter_lines():
            if line:
                content = line.removeprefix("data: ")
                events.append(content if content == "[DONE]" else json.loads(content))
    return events


def text_of(events: list[Any]) -> str:
    choices = [event["choices"] for event in events if event != "[DONE]"]
    return "".join(choice[0]["delta"].get("content", "") for choice in choices if choice)


async def test_chat_answers_in_one_piece_with_usage(client: httpx.AsyncClient) -> None:
    reply = (await client.post("chat/completions", json=CHAT)).json()
    assert reply["choices"][0]["message"]["content"] == "Dogs bark [1]."
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


async def test_chat_streams_token_by_token_and_ends_with_usage(client: httpx.AsyncClient) -> None:
    events = await streamed(client, stream_options={"include_usage": True})
    assert text_of(events) == "Dogs bark [1]."
    assert events[-1] == "[DONE]"
    assert events[-2]["usage"]["completion_tokens"] == len(TOKENS)
    assert events[-3]["choices"][0]["finish_reason"] == "stop"
    assert not any("usage" in event for event in (await streamed(client))[:-1])


async def test_a_reply_may_depend_on_what_was_asked(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.reply = lambda request: request["messages"][-1]["content"].upper()
    assert text_of(await streamed(client)) == "DO DOGS BARK?"


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings_are_hashed_words(client: httpx.AsyncClient, encoding: str) -> None:
    body = {"model": "e", "input": ["dogs bark", "cats"], "encoding_format": encoding}
    data = (await client.post("embeddings", json=body)).json()["data"]
    vectors = [item["embedding"] for item in data]
    if encoding == "base64":
        raw = [base64.b64decode(vector) for vector in vectors]
        vectors = [struct.unpack(f"<{len(vector) // 4}f", vector) for vector in raw]
    assert list(vectors[0]) == pytest.approx(hashed_floats("dogs bark"))
    assert list(vectors[1]) == pytest.approx(hashed_floats("cats"))


async def test_embeddings_take_a_dimension_and_a_single_text(client: httpx.AsyncClient) -> None:
    body = {"model": "e", "input": "dogs bark at strangers", "dimensions": 64}
    (item,) = (await client.post("embeddings", json=body)).json()["data"]
    assert len(item["embedding"]) == 64
    assert math.fsum(number * number for number in item["embedding"]) == pytest.approx(1)


async def test_reranking_speaks_as_cohere_and_jina_and_as_tei_do(client: httpx.AsyncClient) -> None:
    documents = ["cats purr", {"text": "dogs bark"}, "dogs"]
    body = {"model": "r", "query": "dogs bark", "documents": documents, "top_n": 2}
    results = (await client.post("rerank", json=body)).json()["results"]
    assert results == [{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.5}]
    tei = (await client.post("rerank", json={"query": "cats", "texts": ["dogs", "cats"]})).json()
    assert tei == [{"index": 1, "score": 1.0}, {"index": 0, "score": 0.0}]


async def test_models_are_listed_and_other_paths_are_not_found(client: httpx.AsyncClient) -> None:
    listed = (await client.get("models")).json()["data"]
    assert "fake-chat" in [model["id"] for model in listed]
    assert (await client.get("teapots")).status_code == 404


async def test_a_key_is_asked_for_when_there_is_one(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.api_key = "sesame"
    assert (await client.get("models")).status_code == 401
    known = await client.get("models", headers={"authorization": "Bearer sesame"})
    assert known.status_code == 200


async def test_faults_come_one_a_request_in_their_order_and_per_area(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.fail(refuse(429, retry_after="7"), None, refuse(503))
    provider.fail(refuse(500), area=Area.MODELS)
    replies = [await client.post("chat/completions", json=CHAT) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [429, 200, 503, 200]
    assert replies[0].headers["retry-after"] == "7"
    assert (await client.get("models")).status_code == 500
    provider.fail_always(refuse(500))
    assert (await client.post("chat/completions", json=CHAT)).status_code == 500
    provider.heal()
    assert (await client.post("chat/completions", json=CHAT)).status_code == 200


@pytest.mark.parametrize("token", range(len(TOKENS) + 1))
async def test_a_stream_is_cut_after_exactly_the_token_that_was_named(
    provider: FakeProvider, client: httpx.AsyncClient, token: int
) -> None:
    provider.fail(cut(at_token=token))
    with pytest.raises(httpx.RemoteProtocolError):
        await streamed(client)
    assert provider.calls[0].tokens_sent == token


async def test_a_connection_may_be_cut_before_the_headers_and_in_mid_body(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.fail(cut(), cut(at_token=0))
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("chat/completions", json=CHAT)


@pytest.mark.parametrize("token", [None, 0, 2])
async def test_a_stall_lasts_until_the_client_gives_up_or_its_time_is_over(
    provider: FakeProvider, client: httpx.AsyncClient, token: int | None
) -> None:
    provider.fail(stall(at_token=token), stall(at_token=token, seconds=0.01))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await streamed(client)
    call = await provider.call()
    await call.ended.wait()
    assert (call.tokens_sent, call.finished) == (token or 0, False)
    assert text_of(await streamed(client)) == "Dogs bark [1]."


async def test_a_stream_may_end_early_or_tell_of_an_error_or_break_its_json(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.fail(end_early(2), error_event(1), wrong_json(at_token=1))
    assert text_of(await streamed(client)) == "Dogs bark"
    assert "error" in (await streamed_raw(client))[-1]
    with pytest.raises(json.JSONDecodeError):
        await streamed(client)


async def streamed_raw(client: httpx.AsyncClient) -> list[str]:
    reply = await client.post("chat/completions", json={**CHAT, "stream": True})
    return [line for line in reply.text.splitlines() if line]


@pytest.mark.parametrize("area", list(Area))
async def test_wrong_json_is_no_json_in_every_area(
    provider: FakeProvider, client: httpx.AsyncClient, area: Area
) -> None:
    provider.fail(wrong_json(), area=area)
    bodies = {
        Area.CHAT: ("chat/completions", CHAT),
        Area.EMBEDDINGS: ("embeddings", {"model": "e", "input": "x"}),
        Area.RERANK: ("rerank", {"query": "x", "documents": ["x"]}),
        Area.MODELS: ("models", None),
    }
    path, body = bodies[area]
    reply = await (client.get(path) if body is None else client.post(path, json=body))
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


async def test_vectors_and_scores_go_wrong_as_they_are_told(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    async def numbers() -> list[float]:
        body = {"model": "e", "input": "dogs"}
        reply = (await client.post("embeddings", json=body)).json()
        return list(reply["data"][0]["embedding"])

    right = await numbers()
    provider.fail(wrong_dimension(), not_a_number(), changed_model(), area=Area.EMBEDDINGS)
    assert len(await numbers()) == len(right) - 1
    assert math.isnan((await numbers())[0])
    changed = await numbers()
    assert changed != right
    assert len(changed) == len(right)
    provider.fail(not_a_number(), wrong_dimension(), area=Area.RERANK)
    body = {"query": "dogs", "documents": ["dogs"]}
    first = (await client.post("rerank", json=body)).json()["results"]
    assert math.isnan(first[0]["relevance_score"])
    second = (await client.post("rerank", json=body)).json()["results"]
    assert [result["index"] for result in second] == [0, 1]


async def test_a_changed_chat_model_says_another_name(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.fail(changed_model())
    assert (await client.post("chat/completions", json=CHAT)).json()["model"] != "m"


async def test_tokens_after_a_cancel_are_counted_until_the_client_has_really_gone(
    provider: FakeProvider, client: httpx.AsyncClient
) -> None:
    provider.pace_seconds = 0.01
    async with client.stream("POST", "chat/completions", json={**CHAT, "stream": True}):
        call = await provider.call()
        await call.has_sent(1)
        provider.mark_cancel()
        await call.has_sent(3)  # the cancel comes late: these tokens are paid for nothing
    await call.ended.wait()
    assert call.tokens_after_cancel >= 2
    async with client.stream("POST", "chat/completions", json={**CHAT, "stream": True}):
        call = await provider.call(2)
        await call.has_sent(1)
        provider.mark_cancel()
    await call.ended.wait()
    assert (call.tokens_after_cancel, call.finished) == (0, False)


async def test_closing_the_provider_ends_what_still_waits() -> None:
    async with asyncio.TaskGroup() as group:
        async with fake_provider() as provider:
            provider.fail(stall())
            waiting = group.create_task(fails(f"{provider.url}/chat/completions"))
            await provider.call()
        await waiting


async def fails(url: str) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(url, json=CHAT)
