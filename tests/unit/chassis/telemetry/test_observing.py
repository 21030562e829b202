"""A service in its own process, watched from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.chassis.telemetry.current import TraceContext, current_trace, within_trace
from ragmesh.chassis.telemetry.http import ObservedHttp
from ragmesh.chassis.telemetry.measures import measures
from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.observing import observable_methods, observed
from ragmesh.chassis.telemetry.signals import HTTP_SERVED, SpanKind
from ragmesh.chassis.telemetry.tracing import Span, Tracer
from ragmesh.core.answers import Answer, AskQuery, Delta
from ragmesh.core.callers import Caller
from ragmesh.core.errors import CollectionNotFoundError, EmptyTextError, StoreUnavailableError
from ragmesh.core.questions import Question
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.identity import DEVELOPER, DeveloperIdentity
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from tests.unit.gateway.described import description
from tools.generate_reference import registry

TRACE = TraceContext(0xA, 0xB, sampled=True)


class Letters:
    """Spells, and sees in which trace it does."""

    name = "letters"

    def __init__(self) -> None:
        self.seen: list[TraceContext | None] = []
        self.closed = False

    async def upper(self, text: str) -> str:
        self.seen.append(current_trace())
        if not text:
            raise EmptyTextError("SECRET")
        return text.upper()

    async def spell(self, text: str) -> AsyncIterator[str]:
        try:
            for letter in text:
                self.seen.append(current_trace())
                yield letter
        finally:
            self.closed = True

    def spelled(self, text: str) -> AsyncIterator[str]:
        return self.spell(text)

    def length(self, text: str) -> int:
        return len(text)


class Watch:
    """A watched service, with what was recorded of it."""

    def __init__(self) -> None:
        self.letters = Letters()
        self.spans: list[Span] = []
        self.tracer = Tracer(self.spans.append, sampled_ratio=0.0)
        self.service = observed(self.letters, "letters", tracer=self.tracer, measures={})


def test_what_is_awaited_or_iterated_over_is_watched_and_nothing_else() -> None:
    assert observable_methods(Letters) == ("spell", "spelled", "upper")
    service = Watch().service
    assert service.name == "letters"
    assert service.length("abc") == 3


async def test_a_call_is_a_span_below_the_current_one() -> None:
    watch = Watch()
    with within_trace(TRACE):
        assert await watch.service.upper("a") == "A"
        assert current_trace() is TRACE
    (span,) = watch.spans
    assert (span.name, span.kind, span.parent) == ("letters.upper", SpanKind.INTERNAL, TRACE)
    assert watch.letters.seen == [span.trace]


async def test_a_stream_is_one_span_to_its_end_and_its_reader_is_not_inside() -> None:
    watch = Watch()
    with within_trace(TRACE):
        async for _ in watch.service.spelled("ab"):
            assert current_trace() is TRACE
            assert watch.spans == []
    (span,) = watch.spans
    assert watch.letters.seen == [span.trace, span.trace]
    assert span.error == ""


async def test_a_stream_that_is_left_early_is_closed_and_says_so() -> None:
    watch = Watch()
    with within_trace(TRACE):
        async with aclosing(watch.service.spell("ab")) as letters:
            assert await anext(letters) == "a"
    assert watch.letters.closed
    assert watch.spans[0].error == "CANCELLED"


async def test_an_error_passes_and_is_told_by_its_reason() -> None:
    watch = Watch()
    with within_trace(TRACE), pytest.raises(EmptyTextError):
        await watch.service.upper("")
    assert watch.spans[0].error == "EMPTY_TEXT"


async def test_work_of_no_trace_or_of_one_that_is_not_sampled_makes_no_span() -> None:
    watch = Watch()
    await watch.service.upper("a")
    with within_trace(TraceContext(1, 2, sampled=False)):
        await watch.service.upper("a")
    assert watch.spans == []


def counted(meter: Meter, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(value for _, value in one.attributes): sum(one.counts) if one.counts else one.value
        for reading in meter.read()
        if reading.metric.name == name
        for one in reading.series
    }


async def gateway(meter: Meter) -> tuple[GatewayService, FakeMesh]:
    mesh = await FakeMesh().with_collection()
    mesh.cache = observed(mesh.cache, "cache", tracer=None, measures=measures("cache", meter))
    mesh.generator = observed(
        mesh.generator, "generation", tracer=None, measures=measures("generation", meter)
    )
    service: GatewayService = observed(
        mesh.service(), "gateway", tracer=None, measures=measures("gateway", meter)
    )
    return service, mesh


async def test_what_users_count_is_what_happened() -> None:
    meter = Meter()
    service, _ = await gateway(meter)
    query = AskQuery(COLLECTION, Question("How many days of leave?"))
    for _ in range(2):
        answer = await service.ask(DEVELOPER, query, request_id="r")
    assert answer.cached
    async with aclosing(service.stream_answer(DEVELOPER, query, request_id="r")) as events:
        async for event in events:
            assert counted(meter, "rag.active_requests") == {("ask",): 1}
            if isinstance(event, Answer):
                break  # a reader may leave once it has everything
    with pytest.raises(CollectionNotFoundError):
        await service.ask(DEVELOPER, AskQuery("nowhere", Question("x")), request_id="r")
    assert counted(meter, "rag.requests") == {("ask", "ANSWERED"): 3, ("ask", "NOT_FOUND"): 1}
    assert counted(meter, "rag.request.latency") == counted(meter, "rag.requests")
    assert counted(meter, "rag.active_requests") == {("ask",): 0}
    assert counted(meter, "rag.cache.hits") == {("answers",): 2}
    assert counted(meter, "rag.cache.misses") == {("answers",): 1}
    assert sum(counted(meter, "rag.llm.calls").values()) == 1


class HungCache:
    """A cache whose store does not answer."""

    async def lookup_answer(self, caller: Caller, key: str) -> None:
        raise StoreUnavailableError("it did not answer")


async def test_a_lookup_that_was_not_answered_is_neither_a_hit_nor_a_miss() -> None:
    meter = Meter()
    watched = measures("cache", meter)
    cache = observed(HungCache(), "cache", tracer=None, measures=watched)
    with pytest.raises(StoreUnavailableError):
        await cache.lookup_answer(DEVELOPER, "key")
    assert counted(meter, "rag.cache.failures") == {("answers",): 1}
    assert "rag.cache.misses" not in {one.metric.name for one in meter.read()}


async def test_a_reader_who_leaves_before_the_answer_was_not_answered() -> None:
    meter = Meter()
    service, _ = await gateway(meter)
    query = AskQuery(COLLECTION, Question("How many days of leave?"))
    async with aclosing(service.stream_answer(DEVELOPER, query, request_id="r")) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    assert counted(meter, "rag.requests") == {("ask", "CANCELLED"): 1}
    assert sum(counted(meter, "rag.request.time_to_first_delta").values()) == 1


async def test_a_request_is_told_by_its_route_and_never_by_its_path() -> None:
    meter, spans = Meter(), list[Span]()
    mesh = await FakeMesh().with_collection("secret-name")
    async with executor("rest", 1) as pool:
        door = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1")
        app = ObservedHttp(door, Tracer(spans.append, sampled_ratio=1.0), meter)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            headers = {"traceparent": TRACE.traceparent}
            ask = "/api/v1/collections/secret-name/ask"
            reply = await http.post(ask, json={"question": "leave?"}, headers=headers)
            assert reply.status_code == 200, reply.text
            await http.get("/api/v1/collections/unknown-name")
            await http.get("/secret-path")
            await http.request("SECRET", "/secret-path")
            await http.get("/healthz")
    asked, missing, nowhere, odd = spans
    assert asked.name == "POST /api/v1/collections/{collection}/ask"
    assert asked.parent == TRACE
    assert asked.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/collections/{collection}/ask",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert missing.parent is None
    assert (nowhere.name, odd.name) == ("GET", "_OTHER")
    names = registry()["spans"]["http"]["names"]
    assert {asked.name, missing.name} <= set(names)
    described = {
        f"{method.upper()} {path}"
        for path, methods in description()["paths"].items()
        for method in methods
    }
    assert described - {"GET /healthz", "GET /readyz"} | {"GET /docs"} == set(names)
    measured = counted(meter, HTTP_SERVED.name)
    assert sum(measured.values()) == 5
    assert not any("secret" in value.lower() for key in measured for value in key)


async def test_more_tenants_and_documents_make_no_more_series() -> None:
    # OT-5
    meter = Meter()
    mesh = FakeMesh()
    async with executor("rest", 1) as pool:
        door = make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1")
        app = ObservedHttp(door, Tracer(None, sampled_ratio=1.0), meter)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:

            async def visit(number: int) -> None:
                await http.get(f"/api/v1/collections/of-tenant-{number}/documents/{number}.md")
                await http.get(f"/somewhere/{number}")
                await http.request(f"METHOD{number}", "/api/v1/jobs")

            await visit(0)
            few = [reading.series for reading in meter.read()]
            for number in range(1, 200):
                await visit(number)
    assert [len(series) for series in few] == [len(r.series) for r in meter.read()]
    assert sum(counted(meter, HTTP_SERVED.name).values()) == 600
