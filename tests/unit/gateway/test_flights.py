"""Equal questions at one time are answered once, and nobody notices but by the cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

import pytest

from ragmesh.core.answers import Answer, AnswerEvent, AskQuery, CacheMode, Delta, Turn
from ragmesh.core.callers import Principal
from ragmesh.core.errors import InternalError, UnavailableError
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.parsing import parse_ask
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.cache import change
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from ragmesh.testing.retrieval import uid_of

QUERY = parse_ask(COLLECTION, "How many days of leave?")
Asked = asyncio.Task[list[AnswerEvent]]


@pytest.fixture
def held(mesh: FakeMesh) -> FakeMesh:
    """A mesh whose engine waits after its first words."""
    mesh.generator.hold = asyncio.Event()
    return mesh


class Crowd:
    """People who ask one gateway, each in a task that can be ended."""

    def __init__(self, service: GatewayService, group: asyncio.TaskGroup) -> None:
        self.service = service
        self.group = group
        self.asked = 0

    def ask(self, caller: Principal = DEVELOPER, query: AskQuery = QUERY) -> Asked:
        self.asked += 1
        request_id = f"r-{self.asked}"

        async def listen() -> list[AnswerEvent]:
            events = self.service.stream_answer(caller, query, request_id=request_id)
            async with aclosing(events):
                return [event async for event in events]

        return self.group.create_task(listen())


def answer_of(asked: Asked) -> Answer:
    last = asked.result()[-1]
    assert isinstance(last, Answer)
    return last


async def turns() -> None:
    """Let everybody come as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def release(mesh: FakeMesh) -> None:
    assert mesh.generator.hold is not None
    mesh.generator.hold.set()


async def test_equal_questions_at_one_time_are_answered_once(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        together = [crowd.ask() for _ in range(3)]
        await held.generator.begun.wait()
        later = [crowd.ask() for _ in range(2)]
        await turns()
        release(held)
    answers = [answer_of(one) for one in (*together, *later)]
    assert len(held.generator.calls) == len(held.retriever.queries) == 1
    assert {answer.answer for answer in answers} == {f"{SENTENCE} [1]"}
    assert [answer.cached for answer in answers] == [False, True, True, True, True]
    assert {answer.request_id for answer in answers} == {"r-1", "r-2", "r-3", "r-4", "r-5"}
    assert "follow" in dict(answers[-1].timings_ms)
    assert "retrieve" not in dict(answers[-1].timings_ms)


async def test_what_was_paid_for_an_answer_is_told_to_one_alone(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        asked = [crowd.ask() for _ in range(3)]
        await held.generator.begun.wait()
        release(held)
    assert [answer_of(one).usage.prompt_tokens > 0 for one in asked][1:] == [False, False]


async def test_who_comes_later_hears_the_answer_from_its_beginning(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        first = crowd.ask()
        await held.generator.begun.wait()
        second = crowd.ask()
        await turns()
        release(held)
    assert first.result()[:-1] == second.result()[:-1]
    assert isinstance(second.result()[0], Delta)


async def test_the_first_who_leaves_takes_the_answer_from_nobody(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        first, second = crowd.ask(), crowd.ask()
        await held.generator.begun.wait()
        first.cancel()
        await turns()
        assert not held.generator.closed
        release(held)
    assert answer_of(second).answer == f"{SENTENCE} [1]"
    assert held.cache.stores, "it is kept although nobody waits who began it"


async def test_the_last_who_leaves_stops_the_engine(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        service = held.service()
        crowd = Crowd(service, group)
        asked = [crowd.ask(), crowd.ask()]
        await held.generator.begun.wait()
        for one in asked:
            assert not held.generator.closed
            one.cancel()
            await turns()
        assert held.generator.closed
        assert service.flights.find(held.cache.lookups[0][1]) is None
    assert not held.cache.stores


@pytest.mark.parametrize("mode", [CacheMode.BYPASS, CacheMode.REFRESH])
async def test_who_wants_an_answer_of_their_own_gets_one(held: FakeMesh, mode: CacheMode) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        crowd.ask()
        await held.generator.begun.wait()
        own = crowd.ask(query=replace(QUERY, cache=mode))
        await turns()
        release(held)
    assert len(held.generator.calls) == 2
    assert not answer_of(own).cached


async def test_who_sees_other_documents_or_meant_something_else_does_not_follow(
    held: FakeMesh,
) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        crowd.ask()
        crowd.ask(Principal(DEVELOPER.tenant_uid, "eve", frozenset({"red"})))
        crowd.ask(query=replace(QUERY, history=(Turn("user", "Of ferries."),)))
        crowd.ask(query=replace(QUERY, history=(Turn("user", "Of trains."),)))
        await turns()
        release(held)
    assert len(held.generator.calls) == 4


async def test_what_goes_wrong_is_told_to_everybody_and_forgotten(mesh: FakeMesh) -> None:
    mesh.generator.error = UnavailableError("the provider is away")
    service = mesh.service()

    async def fails() -> None:
        with pytest.raises(UnavailableError, match="the provider"):
            await service.ask(DEVELOPER, QUERY, request_id="r")

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(fails())
    assert len(mesh.generator.calls) == 1
    mesh.generator.error = None
    assert (await service.ask(DEVELOPER, QUERY, request_id="r")).answer


async def test_who_asks_after_a_change_of_what_is_being_read_does_not_follow(
    held: FakeMesh,
) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        crowd.ask()
        await held.generator.begun.wait()
        uid = (await held.catalog.get_collection(DEVELOPER, COLLECTION)).uid
        await held.cache.invalidate(DEVELOPER, [change(uid_of("leave.md"), 2, uid)])
        held.retriever.heads_sequence = 2
        after = [crowd.ask(), crowd.ask(), crowd.ask()]
        await turns()
        release(held)
    assert len(held.retriever.queries) == 2, "one before the change, one for all who came after"
    assert {answer_of(one).heads_sequence for one in after} == {2}


async def test_without_the_cache_nobody_follows_what_was_read_before(held: FakeMesh) -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(held.service(), group)
        crowd.ask()
        await held.generator.begun.wait()
        held.cache.error = UnavailableError("the cache is away")
        alone = crowd.ask()
        await turns()
        release(held)
    assert len(held.generator.calls) == 2
    assert answer_of(alone).degraded == ("CACHE_UNAVAILABLE",)


async def test_what_many_wait_for_does_not_run_on_the_time_of_the_first(mesh: FakeMesh) -> None:
    given: list[float] = []

    @contextmanager
    def apart(timeout_seconds: float) -> Iterator[None]:
        given.append(timeout_seconds)
        yield

    service = replace(mesh.service(), apart=apart)
    await service.ask(DEVELOPER, QUERY, request_id="r")
    await service.ask(DEVELOPER, replace(QUERY, cache=CacheMode.BYPASS), request_id="r")
    assert given == [mesh.limits.question_seconds]


async def test_an_answer_that_is_broken_off_from_outside_is_an_error_to_who_follows(
    held: FakeMesh,
) -> None:
    service = held.service()

    async def fails() -> None:
        with pytest.raises(InternalError):
            await service.ask(DEVELOPER, QUERY, request_id="r")

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(fails())
        await held.generator.begun.wait()
        flight = service.flights.find(held.cache.lookups[0][1])
        assert flight is not None
        flight.task.cancel()
