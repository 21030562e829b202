"""One engine answers; another stands in only while nothing has been said yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.answers import (
    AnswerStatus,
    Delta,
    EngineDescription,
    Generated,
    GenerationEvent,
    RewriteQuery,
    Turn,
    Usage,
)
from ragmesh.core.callers import Principal
from ragmesh.core.errors import InternalError, InvalidError, UnavailableError, UnsupportedError
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.ports import ENGINE_LOST
from ragmesh.generation.service import FALLBACK_ENGINE, GenerationService
from ragmesh.testing.generation import FakeEngine, FakeRewriter, ask_of

CALLER = Principal("tenant", "alice")
QUERY = ask_of("Do dogs bark?", ["Dogs bark."])
END = Generated(AnswerStatus.ANSWERED, 0.9, 1.0, "fake-1", Usage(3, 4, 0.5))
SCRIPT = (Delta("Yes."), END)
AWAY = UnavailableError("the engine is away")


async def collect(*engines: FakeEngine) -> list[GenerationEvent]:
    return [event async for event in GenerationService(engines).generate(CALLER, QUERY)]


async def test_the_engines_events_are_passed_on_as_they_are() -> None:
    engine = FakeEngine(SCRIPT)
    assert await collect(engine) == list(SCRIPT)
    assert engine.queries == [QUERY]


async def test_another_engine_answers_while_the_first_is_away() -> None:
    spare = FakeEngine(SCRIPT)
    events = await collect(FakeEngine(error=AWAY), spare)
    assert events[0] == Delta("Yes.")
    assert isinstance(events[-1], Generated)
    assert events[-1].degraded == (FALLBACK_ENGINE,)
    assert events[-1].usage == END.usage


async def test_an_engine_that_dies_in_mid_answer_ends_it_as_partial() -> None:
    spare = FakeEngine(SCRIPT)
    events = await collect(FakeEngine([Delta("Ye")], error=AWAY), spare)
    assert events[0] == Delta("Ye")
    (end,) = events[1:]
    assert isinstance(end, Generated)
    assert (end.status, end.degraded) == (AnswerStatus.PARTIAL, (ENGINE_LOST,))
    assert spare.queries == []


async def test_the_last_engine_that_dies_in_mid_answer_ends_it_as_partial_too() -> None:
    events = await collect(FakeEngine(error=AWAY), FakeEngine([Delta("Ye")], error=AWAY))
    assert isinstance(events[-1], Generated)
    assert events[-1].status is AnswerStatus.PARTIAL
    assert set(events[-1].degraded) == {ENGINE_LOST, FALLBACK_ENGINE}


async def test_with_every_engine_away_the_caller_is_told() -> None:
    with pytest.raises(UnavailableError):
        await collect(FakeEngine(error=AWAY), FakeEngine(error=AWAY))


async def test_a_refusal_is_not_tried_elsewhere() -> None:
    spare = FakeEngine(SCRIPT)
    with pytest.raises(InvalidError):
        await collect(FakeEngine(error=InvalidError.of("question", "is refused")), spare)
    assert spare.queries == []


async def test_a_stream_without_an_end_is_a_defect_and_not_an_answer() -> None:
    with pytest.raises(InternalError):
        await collect(FakeEngine([Delta("Yes.")]))


async def test_nothing_comes_after_the_end() -> None:
    assert await collect(FakeEngine([*SCRIPT, Delta("and another thing")])) == list(SCRIPT)


async def test_whoever_goes_away_stops_the_engine() -> None:
    engine = FakeEngine(SCRIPT)
    stream = GenerationService((engine,)).generate(CALLER, QUERY)
    assert await anext(stream) == Delta("Yes.")
    assert not engine.closed
    await stream.aclose()
    assert engine.closed


async def test_the_description_is_that_of_the_first_engine() -> None:
    service = GenerationService((ExtractiveEngine(0.2), FakeEngine()))
    assert (await service.describe_engine()).engine == "extractive"


def test_a_service_without_an_engine_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one engine"):
        GenerationService(())


PAID = EngineDescription("paid", "gpt", "1", prompt_dollars=2.0, completion_dollars=8.0)


async def test_where_nothing_may_be_paid_only_what_is_free_answers_and_rewrites() -> None:
    paid, free = FakeEngine(SCRIPT, description=PAID), FakeEngine(SCRIPT)
    dear = FakeRewriter(usage=Usage(cost_dollars=1.0))
    cheap = FakeRewriter()
    service = GenerationService((paid, free), (dear, cheap), frugal=FakeEngine())
    query = replace(QUERY, free_only=True)
    assert [event async for event in service.generate(CALLER, query)] == list(SCRIPT)
    assert (paid.queries, free.queries) == ([], [query])
    follow_up = RewriteQuery(QUERY.question, (Turn("user", "leave"),), "en", free_only=True)
    await service.rewrite_question(CALLER, follow_up)
    assert (dear.queries, cheap.queries) == ([], [follow_up])
    described = await service.describe_engine()
    assert (described.is_paid, described.usage_of(1_000, 100).cost_dollars) == (True, 0.0028)


async def test_a_service_of_paid_engines_has_a_frugal_one_for_empty_purses() -> None:
    paid, frugal = FakeEngine(SCRIPT, description=PAID), FakeEngine(SCRIPT)
    query = replace(QUERY, free_only=True)
    service = GenerationService((paid,), frugal=frugal)
    assert [event async for event in service.generate(CALLER, query)] == list(SCRIPT)
    with pytest.raises(UnsupportedError):
        _ = [event async for event in GenerationService((paid,)).generate(CALLER, query)]


async def test_without_any_model_the_evidence_itself_answers() -> None:  # RL-5
    frugal = FakeEngine(SCRIPT)
    service = GenerationService((FakeEngine(error=AWAY), FakeEngine(error=AWAY)), frugal=frugal)
    *events, end = [event async for event in service.generate(CALLER, QUERY)]
    assert events == list(SCRIPT[:-1])
    assert isinstance(end, Generated)
    assert end.degraded == (FALLBACK_ENGINE,)
