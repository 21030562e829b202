"""The fake for consumers streams as the service does."""

from __future__ import annotations

import asyncio

import pytest

from ragmesh.core.answers import AnswerStatus, Citation, Delta, Generated
from ragmesh.core.callers import Principal
from ragmesh.core.errors import UnavailableError
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.service import GenerationService
from ragmesh.testing.generation import FakeGenerator, ask_of

CALLER = Principal("tenant", "alice")
ANSWERABLE = ask_of("Do dogs bark?", ["Dogs bark."])


@pytest.fixture(params=["service", "fake"])
def generator(request: pytest.FixtureRequest) -> GenerationService | FakeGenerator:
    if request.param == "fake":
        return FakeGenerator()
    return GenerationService((ExtractiveEngine(0.2),))


async def test_a_quote_is_followed_by_its_citation_and_the_end(
    generator: GenerationService | FakeGenerator,
) -> None:
    delta, citation, end = [event async for event in generator.generate(CALLER, ANSWERABLE)]
    assert delta == Delta("Dogs bark. [1]")
    assert isinstance(citation, Citation)
    assert citation.quote == "Dogs bark."
    assert isinstance(end, Generated)
    assert end.status is AnswerStatus.ANSWERED
    assert end.model == (await generator.describe_engine()).model


async def test_without_hits_there_is_a_sentence_and_no_context(
    generator: GenerationService | FakeGenerator,
) -> None:
    query = ask_of("Do dogs bark?", [])
    delta, end = [event async for event in generator.generate(CALLER, query)]
    assert isinstance(delta, Delta)
    assert isinstance(end, Generated)
    assert end.status is AnswerStatus.NO_CONTEXT


async def test_the_fake_waits_in_mid_answer_and_sees_its_caller_go_away() -> None:
    fake = FakeGenerator(hold=asyncio.Event())
    stream = fake.generate(CALLER, ANSWERABLE)
    await anext(stream)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(stream))
        await fake.begun.wait()
        waiting.cancel()
    assert waiting.cancelled()
    assert fake.closed


async def test_the_fake_fails_when_it_is_told_to() -> None:
    fake = FakeGenerator(error=UnavailableError("away"))
    with pytest.raises(UnavailableError):
        [event async for event in fake.generate(CALLER, ask_of("x", []))]
    stream = fake.generate(CALLER, ANSWERABLE)
    assert isinstance(await anext(stream), Delta)
    with pytest.raises(UnavailableError):
        await anext(stream)
