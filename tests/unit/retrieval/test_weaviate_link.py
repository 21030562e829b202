"""What a Weaviate answers becomes an error that says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from weaviate.proto.v1 import aggregate_pb2

from ragmesh.chassis.foreign_grpc import Fault, ForeignCallError
from ragmesh.core.errors import (
    RagmeshError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.testing.clocks import ManualClock

SERVER = WeaviateServer("weaviate.example.org")


class FakeChannel:
    """Every call fails as it is told; without a fault its server takes calls."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self.calls = 0

    def unary_unary(self, _method: str, *_args: Any, **_kwargs: Any) -> Callable[..., Any]:
        async def ask(_request: Any, **_kwargs: Any) -> Any:
            self.calls += 1
            if self.fault is None:
                return aggregate_pb2.AggregateReply()
            raise ForeignCallError(self.fault, "secret words")

        return ask

    stream_stream = unary_unary

    async def check(self, *, timeout: float) -> None:  # noqa: ASYNC109 - as the real one
        if self.fault is not None:
            raise ForeignCallError(self.fault, "secret words")


@asynccontextmanager
async def linked(
    answer: Callable[[httpx2.Request], httpx2.Response],
    *,
    fault: Fault | None = None,
    server: WeaviateServer = SERVER,
) -> AsyncIterator[WeaviateLink]:
    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport) as http:
        channel: Any = FakeChannel(fault)
        yield WeaviateLink(server, channel, http)


def meta(version: str) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(200, json={"version": version})


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.LATE])
async def test_a_server_that_is_silent_again_and_again_is_left_alone_until_a_probe_finds_it(
    fault: Fault,
) -> None:
    # RL-5
    channel, request = FakeChannel(fault), aggregate_pb2.AggregateRequest()
    transport = httpx2.MockTransport(meta("1.35.2"))
    async with httpx2.AsyncClient(transport=transport) as http:
        link = WeaviateLink(SERVER, cast(Any, channel), http, ManualClock())
        for _ in range(5):
            with pytest.raises(StoreUnavailableError) as caught:
                await link.count(request)
        assert caught.value.retry_after_seconds == 1.0
        assert channel.calls == 3
        channel.fault = None
        with pytest.raises(StoreUnavailableError):
            await link.count(request)
        await link.probe()
        assert await link.count(request) == 0


async def test_a_server_that_refuses_is_not_left_alone() -> None:
    channel, request = FakeChannel(Fault.REFUSED), aggregate_pb2.AggregateRequest()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(meta("1.35.2"))) as http:
        link = WeaviateLink(SERVER, cast(Any, channel), http, ManualClock())
        for _ in range(5):
            with pytest.raises(StoreRefusedError):
                await link.count(request)
    assert channel.calls == 5


@pytest.mark.parametrize("version", ["1.35.2", "1.36.0-rc.0", "1.99"])
async def test_a_version_that_fits_is_told(version: str) -> None:
    async with linked(meta(version)) as link:
        assert await link.probe() == version


@pytest.mark.parametrize("version", ["1.34.9", "2.0.0", "", "unheard-of"])
async def test_another_version_is_refused_by_name(version: str) -> None:
    async with linked(meta(version)) as link:
        with pytest.raises(StoreRefusedError, match=r"1\.35"):
            await link.probe()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_its_setting(status: int) -> None:
    async with linked(lambda _request: httpx2.Response(status)) as link:
        with pytest.raises(StoreRefusedError, match=r"index\.api_key_file"):
            await link.probe()


async def test_a_changed_key_file_needs_no_restart(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old\n")

    def answer(request: httpx2.Request) -> httpx2.Response:
        known = request.headers.get("authorization") == "Bearer new"
        return httpx2.Response(200, json={"version": "1.35.2"}) if known else httpx2.Response(401)

    async with linked(answer, server=replace(SERVER, api_key_file=file)) as link:
        with pytest.raises(StoreRefusedError):
            await link.probe()
        file.write_text("new\n")
        await link.probe()
        file.unlink()
        with pytest.raises(StoreRefusedError, match="cannot be read"):
            await link.probe()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.AWAY, StoreUnavailableError),
        (Fault.LATE, StoreUnavailableError),
        (Fault.KEY_REFUSED, StoreRefusedError),
        (Fault.REFUSED, StoreRefusedError),
    ],
)
async def test_both_doors_must_be_open_and_nothing_that_was_asked_is_repeated(
    fault: Fault, error: type[RagmeshError]
) -> None:
    async with linked(meta("1.35.2"), fault=fault) as link:
        with pytest.raises(error) as caught:
            await link.probe()
    assert "secret words" not in caught.value.message
    assert caught.value.kind.transient


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx2.Response(200, text="<html>"), id="no JSON"),
        pytest.param(httpx2.Response(500, json={"error": []}), id="an error of its own"),
    ],
)
async def test_an_answer_that_is_none_is_refused(answer: httpx2.Response) -> None:
    async with linked(lambda _request: answer) as link:
        with pytest.raises(StoreRefusedError):
            await link.require("GET", "schema")


async def test_a_server_that_is_away_is_named_and_its_address_is_not() -> None:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    async with linked(answer) as link:
        with pytest.raises(StoreUnavailableError, match=r"Weaviate .* index\.url") as caught:
            await link.probe()
    assert SERVER.host not in caught.value.message


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("weaviate://host", WeaviateServer("host", 8080, 50051)),
        ("weaviate://host:80", WeaviateServer("host", 80, 50051)),
        ("weaviate://host:80:90/", WeaviateServer("host", 80, 90)),
        ("weaviate://[::1]:80:90", WeaviateServer("[::1]", 80, 90)),
    ],
)
def test_a_url_names_a_host_and_both_ports(url: str, server: WeaviateServer) -> None:
    assert WeaviateServer.parse(url) == server


@pytest.mark.parametrize(
    "url",
    ["weaviate://", "weaviate://a b", "http://host", "weaviate://u@h", "weaviate://h:0",
     "weaviate://h:1:2:3", "weaviate://h/path", "weaviate://h:99999"],
)  # fmt: skip
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        WeaviateServer.parse(url)


async def test_who_has_just_started_is_not_believed_that_there_is_nothing() -> None:
    ready = False

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/ready"):
            return httpx2.Response(200 if ready else 503)
        return httpx2.Response(404)

    async with linked(answer) as link:
        with pytest.raises(StoreUnavailableError, match="does not know yet"):
            await link.find("schema/Words")
        ready = True
        assert await link.find("schema/Words") is None


async def test_what_is_known_only_once_the_server_is_ready_is_found() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        is_known = len(asked) == 3 or request.url.path.endswith("/ready")
        return httpx2.Response(200 if is_known else 404, json={"class": "Words"})

    async with linked(answer) as link:
        assert await link.find("schema/Words") == {"class": "Words"}


async def test_a_connection_that_is_cut_as_soon_as_it_is_made_is_no_defect_of_ours() -> None:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    async with linked(answer) as link:
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await link.find("schema/Words")
