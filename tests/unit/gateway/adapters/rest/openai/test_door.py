"""What OpenAI's clients never send or show: errors of the door, conversations, who goes away."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.types import Message

from ragmesh.core.answers import Answer, AnswerStatus, Usage
from ragmesh.core.errors import ExhaustedError, UnauthenticatedError
from ragmesh.core.turns import MAX_TURNS
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.adapters.rest.openai.completions import Completion
from ragmesh.gateway.adapters.rest.openai.errors import error_of
from ragmesh.gateway.limits import MEBIBYTE
from ragmesh.testing.gateway import FakeMesh

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
MODEL = "ragmesh/handbook"


def asked(*messages: tuple[str, str], **more: Any) -> dict[str, Any]:
    said = [{"role": role, "content": content} for role, content in messages]
    return {"model": MODEL, "messages": said or [{"role": "user", "content": "Why?"}], **more}


async def test_whatever_goes_wrong_below_v1_is_told_as_openai_does(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    mesh.retriever.failures = [ExhaustedError("too much", retry_after_seconds=2.2)]
    json_type = {"content-type": "application/json"}
    cases: list[tuple[str, str, dict[str, Any], int, str]] = [
        ("POST", CHAT, {"json": asked()}, 429, "rate_limit_exceeded"),
        ("GET", "/v1/nothing", {}, 404, "not_found"),
        ("GET", CHAT, {}, 405, "unsupported"),
        ("POST", CHAT, {"content": b"{", "headers": json_type}, 400, "invalid_argument"),
        ("POST", CHAT, {"content": b"{}"}, 415, "unsupported_media_type"),
        ("POST", CHAT, {"content": b"x" * (5 * MEBIBYTE)}, 413, "body_too_large"),
        ("POST", CHAT, {"json": asked(), "headers": {"host": "evil.example"}}, 403, "foreign_host"),
        ("GET", "/v1/models", {"headers": {"origin": "null"}}, 403, "foreign_origin"),
    ]
    for method, path, request, status, code in cases:
        reply = await http.request(method, path, **request)
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"] == "application/json"
        error = reply.json()["error"]
        assert error["code"] == code
        assert error["request_id"] == reply.headers["x-request-id"]
        assert (reply.headers.get("retry-after") == "3") is (status == 429)


def test_a_key_that_is_none_is_what_openai_calls_it() -> None:
    error = error_of(UnauthenticatedError("no such key"), request_id="r").error
    assert (error.type, error.code) == ("invalid_request_error", "invalid_api_key")


async def test_the_last_message_is_the_question_and_those_before_are_its_history(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    said = [("user", "First?"), ("assistant", "One."), ("developer", "Be brief."), ("user", "Now?")]
    reply = await http.post(CHAT, json=asked(*said))
    ((_, given),) = mesh.generator.calls
    assert given.question.text == "Now?"
    assert [(turn.role, turn.text) for turn in given.history] == said[:2]
    assert reply.json()["ragmesh"]["ignored"] == ["messages.system"]


async def test_of_a_long_conversation_the_newest_messages_count(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    said = [("user", f"{number}?") for number in range(MAX_TURNS + 3)]
    reply = await http.post(CHAT, json=asked(*said))
    ((_, given),) = mesh.generator.calls
    assert [turn.text for turn in given.history] == [text for _, text in said[2:-1]]
    assert reply.json()["ragmesh"]["ignored"] == ["messages.oldest"]


REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    (asked(("user", "a\x00b")), "control_characters", "messages[0].content"),
    (asked(("user", "x" * 8_001)), "context_length_exceeded", "messages[0].content"),
    (
        asked(("system", "Hi."), ("user", "a\x00b"), ("user", "Why?")),
        "control_characters",
        "messages[1].content",
    ),
    (asked(("tool", "4")), "unsupported_parameter", "messages[0].role"),
    (asked(("robot", "4")), "invalid_argument", "messages[0].role"),
    (asked() | {"messages": []}, "invalid_argument", "messages"),
    (
        asked() | {"messages": [{"role": "user", "content": [1]}]},
        "invalid_argument",
        "messages[0].content",
    ),
    (asked(stream_options={"include_usage": True}), "invalid_argument", "stream_options"),
    (asked(n=True), "unsupported_parameter", "n"),
    (asked(stop="."), "unsupported_parameter", "stop"),
    (asked(response_format={"type": "json_object"}), "unsupported_parameter", "response_format"),
    (asked(ragmesh={"limit": 0}), "invalid_limit", "ragmesh.limit"),
    (asked(ragmesh={"filter": {"eq": []}}), "invalid_filter", "ragmesh.filter.eq"),
    (asked() | {"model": "ragmesh/Hand Book"}, "model_not_found", "model"),
)


async def test_a_refusal_names_the_parameter_at_fault(http: httpx.AsyncClient) -> None:
    for body, code, param in REFUSED:
        error = (await http.post(CHAT, json=body)).json()["error"]
        assert (error["code"], error["param"]) == (code, param)
        assert error["message"].startswith(param) or code == "model_not_found"


async def test_a_text_above_the_window_is_refused_and_never_cut(
    http: httpx.AsyncClient, mesh: FakeMesh
) -> None:
    body = {"model": "all-MiniLM-L6-v2", "input": ["short", "word " * 300]}
    error = (await http.post(EMBEDDINGS, json=body)).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input[1]")


def test_an_answer_that_broke_off_says_that_its_end_is_missing() -> None:
    answer = Answer(
        "Half", AnswerStatus.PARTIAL, (), 0.5, 1.0, False, "m", Usage(3, 4), "v1", 1, "r"
    )
    completion = Completion("r", datetime(2026, 1, 1, tzinfo=UTC), MODEL, True, ())
    assert completion.whole(answer).choices[0].finish_reason == "length"
    assert completion.last(answer, {}).content["choices"][0]["finish_reason"] == "length"
    answered = replace(answer, status=AnswerStatus.ANSWERED)
    assert completion.whole(answered).usage.total_tokens == 7
    assert completion.usage(answered).content["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_who_goes_away_stops_the_engine(door: Door, mesh: FakeMesh, stream: bool) -> None:
    mesh.generator.hold = asyncio.Event()
    content = json.dumps(asked(stream=stream)).encode()
    body = iter([{"type": "http.request", "body": content, "more_body": False}])
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]

    async def receive() -> dict[str, Any]:
        for message in body:
            return message
        await mesh.generator.begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        """Nobody reads it."""

    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": headers}
    await door(
        {**scope, "query_string": b"", "root_path": "", "scheme": "http", "http_version": "1.1"},
        receive,
        send,
    )
    assert mesh.generator.closed
    assert not mesh.cache.stores
