"""Whatever happens while questions are on their way: no answer from what no longer holds.

A change counts from the moment at which whoever made it is told so: the cache has heard of it and
searches see it then. Every answer is held against what had been told when its question came in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.core.answers import (
    Answer,
    AnswerStatus,
    AskQuery,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    Invalidation,
    RewriteQuery,
    Rewritten,
    Usage,
)
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.documents import Route
from ragmesh.core.questions import Question
from ragmesh.core.search import Hit, Retrieval, RetrieveQuery
from ragmesh.gateway.asking import Asking
from ragmesh.gateway.flights import Flights
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.stopwatch import NoSpans
from ragmesh.testing.books import MemoryBooks
from ragmesh.testing.cache_stores import AnswerStoreContract, HitStoreContract
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import fake_fingerprint
from ragmesh.testing.retrieval import fake_hit

DOCUMENTS = "abc"
GROUPS = ("red", "blue")
COLLECTION = "collection"
ROUTE = Route("tenant", COLLECTION, "handbook", "en", "mini", "version", "v1", 1)
QUERY = AskQuery("handbook", Question("What is it?"))
ENGINE = EngineDescription("fake", "fake-1", "1")


@dataclass(frozen=True)
class State:
    """A document between two changes."""

    number: int
    groups: frozenset[str]
    """Who may see it; nobody once it is deleted."""


@dataclass
class Publication:
    """A committed change on its way to the cache and to the searches."""

    document: str
    state: State
    sequence: int
    left: list[str] = field(default_factory=lambda: ["cache", "searches"])


@dataclass
class Asked:
    """Somebody waits for an answer."""

    group: str
    told: dict[str, int]
    """By document, the number of the state that had been told when the question came in."""
    task: asyncio.Task[Answer]


class World:
    """A collection, its readers, and every wait between them in the hands of the test."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks
        self.clock = ManualClock()
        self.cache = CacheService(
            MemoryAnswers(AnswerStoreContract.limits, self.clock),
            MemoryHits(HitStoreContract.limits, self.clock),
            MemoryVectors(1_000, 60.0, self.clock),
        )
        limits, flights, books = GatewayLimits(), Flights(), MemoryBooks()
        self.asking = Asking(
            self, self, self, self.cache, self.clock, limits, NoSpans(), flights, _own, books
        )
        first = State(0, frozenset(GROUPS))
        self.states = {name: [first] for name in DOCUMENTS}
        self.searched = dict.fromkeys(DOCUMENTS, 0)
        self.told = dict.fromkeys(DOCUMENTS, 0)
        self.sequence = self.searched_sequence = 0
        self.publications: list[Publication] = []
        self.gates: list[asyncio.Future[None]] = []
        self.waiting: list[Asked] = []
        self.answers = 0

    async def gate(self) -> None:
        """Wait until the test lets it go on."""
        opened = asyncio.get_running_loop().create_future()
        self.gates.append(opened)
        await opened

    # What the gateway needs.

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        return ROUTE

    async def describe_engine(self) -> EngineDescription:
        return ENGINE

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        await self.gate()
        assert isinstance(caller, Principal)
        seen = {name: self.states[name][number] for name, number in self.searched.items()}
        hits = tuple(
            self.hit(name, state) for name, state in seen.items() if caller.groups & state.groups
        )
        sequence = self.searched_sequence
        await self.gate()
        return Retrieval(hits, "version", sequence, None, fake_fingerprint(), ())

    def hit(self, name: str, state: State) -> Hit:
        hit = fake_hit(name, "It is so.")
        return replace(hit, document_uid=name, document_id=name, revision=state.number + 1)

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        raise AssertionError("no question follows another one")

    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncGenerator[GenerationEvent, None]:
        yield Delta("It is so. ")
        for number, hit in enumerate(query.retrieval.hits, 1):
            await self.gate()
            yield _cite(number, hit)
        status = AnswerStatus.ANSWERED if query.retrieval.hits else AnswerStatus.NO_CONTEXT
        yield Generated(status, 0.9, 1.0, ENGINE.model, Usage())

    # What the test does.

    async def ask(self, group: str) -> None:
        caller = Principal("tenant", f"one of {group}", frozenset({group}))

        async def listen() -> Answer:
            async for event in self.asking.stream(caller, QUERY, request_id="r"):
                if isinstance(event, Answer):
                    return event
            raise AssertionError("an answer had no end")

        self.waiting.append(Asked(group, dict(self.told), self.tasks.create_task(listen())))

    async def change(self, document: str, groups: tuple[str, ...]) -> None:
        states = self.states[document]
        states.append(State(len(states), frozenset(groups)))
        self.sequence += 1
        self.publications.append(Publication(document, states[-1], self.sequence))

    async def carry(self, number: int) -> None:
        """Bring one of the changes one step further."""
        if not self.publications:
            return
        news = self.publications[number % len(self.publications)]
        step = news.left.pop(number % len(news.left))
        if step == "cache":
            change = Invalidation(COLLECTION, news.document, news.sequence)
            await self.cache.invalidate(Machine("indexing"), [change])
        else:
            # Heads are followed in the order of their sequence: the earlier ones come along.
            for earlier in self.publications:
                if earlier.sequence <= news.sequence:
                    self._show(earlier)
        for done in [one for one in self.publications if not one.left]:
            self.publications.remove(done)
            told = max(self.told[done.document], done.state.number)
            self.told[done.document] = told

    def _show(self, news: Publication) -> None:
        if "searches" in news.left:
            news.left.remove("searches")
        number = max(self.searched[news.document], news.state.number)
        self.searched[news.document] = number
        self.searched_sequence = max(self.searched_sequence, news.sequence)

    async def open(self, number: int) -> None:
        if self.gates:
            gate = self.gates.pop(number % len(self.gates))
            if not gate.done():
                gate.set_result(None)

    async def leave(self, number: int) -> None:
        if self.waiting:
            self.waiting.pop(number % len(self.waiting)).task.cancel()

    async def wait(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def finish(self) -> None:
        while self.waiting:
            await self.settle()
            await self.open(0)

    async def settle(self) -> None:
        """Let everybody come as far as they can, and look at the answers that came."""
        for _ in range(12):
            await asyncio.sleep(0)
        for question in [one for one in self.waiting if one.task.done()]:
            self.waiting.remove(question)
            self.answers += 1
            for citation in question.task.result().citations:
                self.judge(question, citation)

    def judge(self, question: Asked, citation: Citation) -> None:
        number = citation.revision - 1
        state = self.states[citation.document_uid][number]
        assert number >= question.told[citation.document_uid], "an older state than was told"
        assert question.group in state.groups, "a state that was not for them"


def _own(timeout_seconds: float) -> AbstractContextManager[object]:
    return nullcontext()


def _cite(number: int, hit: Hit) -> Citation:
    return Citation(
        marker=f"[{number}]",
        document_uid=hit.document_uid,
        document_id=hit.document_id,
        revision=hit.revision,
        title="",
        chunk_id=hit.chunk_id,
        quote=hit.text,
        span=hit.span,
        page=None,
        headings=(),
    )


Step = tuple[object, ...]
_NUMBERS = st.integers(0, 5)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.sampled_from(GROUPS)),
        st.tuples(st.just("ask"), st.just("red")),
        st.tuples(
            st.just("change"),
            st.sampled_from(DOCUMENTS),
            st.sampled_from([("red", "blue"), ("red",), ("blue",), ()]),
        ),
        st.tuples(st.just("carry"), _NUMBERS),
        st.tuples(st.just("carry"), _NUMBERS),
        st.tuples(st.just("open"), _NUMBERS),
        st.tuples(st.just("open"), _NUMBERS),
        st.tuples(st.just("leave"), _NUMBERS),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 61.0])),
    ),
    min_size=5,
    max_size=40,
)
CHANGED: list[Step] = [("change", "a", ()), ("carry", 0), ("carry", 0)]
WHOLE: list[Step] = [("open", 0)] * 6
ASKED_AGAIN_AFTER_A_DELETE: list[Step] = [("ask", "red"), *WHOLE, *CHANGED, ("ask", "red"), *WHOLE]
ASKED_DURING_AN_ANSWER_FROM_BEFORE: list[Step] = [
    ("ask", "red"),
    ("open", 0),
    ("open", 0),
    *CHANGED,
    ("ask", "red"),
    *WHOLE,
    *WHOLE,
]
STORED_AFTER_ITS_INVALIDATION: list[Step] = [
    ("ask", "red"),
    ("open", 0),
    *CHANGED,
    *WHOLE,
    ("ask", "red"),
    *WHOLE,
]
ASKED_WHILE_THE_SEARCH_READS: list[Step] = [
    ("ask", "red"),
    ("open", 0),
    *CHANGED,
    ("ask", "red"),
    *WHOLE,
    *WHOLE,
]


def played(steps: list[Step]) -> int:
    """How many answers came; each was judged."""

    async def play() -> int:
        async with asyncio.TaskGroup() as tasks:
            world = World(tasks)
            await world.wait(1)
            for name, *arguments in steps:
                act: Callable[..., Awaitable[None]] = getattr(world, str(name))
                await act(*arguments)
                await world.settle()
            await world.finish()
            return world.answers

    return asyncio.run(play())


@example(ASKED_AGAIN_AFTER_A_DELETE)
@example(ASKED_DURING_AN_ANSWER_FROM_BEFORE)
@example(STORED_AFTER_ITS_INVALIDATION)
@example(ASKED_WHILE_THE_SEARCH_READS)
@settings(max_examples=150)
@given(_STEPS)
def test_no_answer_comes_from_a_state_that_was_gone_when_its_question_came_in(
    steps: list[Step],
) -> None:
    played(steps)


def test_every_question_of_a_story_is_answered() -> None:
    assert played(ASKED_AGAIN_AFTER_A_DELETE) == played(ASKED_WHILE_THE_SEARCH_READS) == 2
