"""People who search and ask at a rate that does not wait for answers, and what they met."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.errors import RagmeshError
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery


@dataclass(frozen=True)
class Rates:
    """How often, a second."""

    searches: float = 50.0
    answers: float = 10.0


OFTEN = Rates()
_QUESTIONS = tuple(
    Question.parse(text)
    for text in (
        "Who speaks to journalists?",
        "What does shore power cost?",
        "When is fuel taken?",
        "Who is told of an incident first?",
    )
)


@dataclass
class Audience:
    """What everybody was answered."""

    client: GatewayClient
    collection: str
    rates: Rates
    searched: int = 0
    asked: int = 0
    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    """By the index version that they name."""
    versions_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Index versions whose answers held a chunk; more than one = spaces were mixed."""

    @property
    def mixed(self) -> list[str]:
        """Chunks that were in the answers of two versions."""
        return [chunk for chunk, versions in self.versions_of.items() if len(versions) > 1]

    def assert_nobody_noticed(self) -> None:
        """Everybody was answered, at the rate that was asked for, each from one version."""
        assert self.failed == []
        assert self.mixed == []
        assert "" not in self.answers
        assert self.searched >= 0.9 * self.rates.searches * self.seconds, self
        assert self.asked >= 0.9 * self.rates.answers * self.seconds, self

    async def search(self, question: Question) -> None:
        """One search."""
        found = await self.client.search(SearchQuery(self.collection, question, limit=5))
        self._met(found.index_version, (hit.chunk_id for hit in found.hits))
        self.searched += 1

    async def ask(self, question: Question) -> None:
        """One answer, made anew."""
        query = AskQuery(self.collection, question, cache=CacheMode.BYPASS)
        answer = await self.client.ask(query)
        self._met(answer.index_version, (one.chunk_id for one in answer.citations))
        self.asked += 1

    def _met(self, version: str, chunks: Iterable[str]) -> None:
        self.answers[version] += 1
        for chunk in chunks:
            self.versions_of[chunk].add(version)

    async def attend(self) -> None:
        """Search and ask until cancelled; what is under way then is not counted."""
        began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._at_rate(group, self.rates.searches, self.search))
                group.create_task(self._at_rate(group, self.rates.answers, self.ask))
        finally:
            self.seconds = time.monotonic() - began

    async def _at_rate(
        self, group: asyncio.TaskGroup, a_second: float, call: Callable[[Question], Awaitable[None]]
    ) -> None:
        began = time.monotonic()
        for number, question in enumerate(itertools.cycle(_QUESTIONS)):
            await asyncio.sleep(began + number / a_second - time.monotonic())
            group.create_task(self._try(call, question))

    async def _try(self, call: Callable[[Question], Awaitable[None]], question: Question) -> None:
        try:
            await call(question)
        except RagmeshError as error:
            self.failed.append(f"{error.reason}: {error}")


@asynccontextmanager
async def attended(
    client: GatewayClient, collection: str, rates: Rates = OFTEN
) -> AsyncIterator[Audience]:
    """Somebody searches and asks for the time of the block."""
    audience = Audience(client, collection, rates)
    async with asyncio.TaskGroup() as group:
        attending = group.create_task(audience.attend())
        try:
            yield audience
        finally:
            attending.cancel()
