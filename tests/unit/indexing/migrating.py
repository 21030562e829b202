"""A collection whose index is changed: real catalog and blobs, fakes around them, no loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from ragmesh.chassis.events import Delivery, Event
from ragmesh.chassis.events.facts import DOCUMENTS_CHANGED, TOPIC_OF
from ragmesh.core.documents import Accepted, Job, NewCollection, Upload, accepted_of
from ragmesh.core.errors import UnavailableError
from ragmesh.core.migrations import (
    ON_SCHEDULE,
    CanaryStep,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.quality import Quality
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.indexing.asking import Asker
from ragmesh.indexing.building import Indexing, Neighbours, Places, open_indexing
from ragmesh.indexing.examining import Examiner
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stages import INDEXER, StageLimits, Stages
from ragmesh.indexing.worker import Indexer
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.retrieval.ports import VectorIndex
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEncoder
from ragmesh.testing.events import MemoryEventLog
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.migrations import FakeEmbedders, GarbledEncoder, golden_lines
from ragmesh.testing.reading import FakeReader
from tests.unit.indexing.guarded import Guarded
from tests.unit.indexing.world import ADMIN, places

OLD, NEW, BAD = "old", "new", "bad"
TOPICS = (
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fable",
    "grape",
    "hazel",
    "ivory",
    "jade",
    "kayak",
    "lemon",
    "maple",
    "night",
    "olive",
    "pearl",
    "quartz",
    "raven",
    "sable",
    "tulip",
    "umber",
    "violet",
    "willow",
    "xenon",
)
QUICK = MigrationPolicy(canary=(CanaryStep(50, 60.0),), soak_seconds=600.0)


def text_of(topic: str) -> str:
    """A document about one topic, in words of its own."""
    return f"The {topic} is kept in the {topic} room. Nobody moves the {topic}."


@dataclass
class Changing:
    """The collection `docs` with a document a topic, and everything that changes its index."""

    indexing: Indexing
    retrieval: RetrievalService
    memory: VectorIndex
    embedders: FakeEmbedders
    cache: FakeAnswerCache
    clock: ManualClock
    log: MemoryEventLog
    handled: int = 0
    seen: list[MigrationPhase] = field(default_factory=list)
    again: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        ledger = self.indexing.ledger
        self.relay = Relay(ledger, self.log, self.clock)
        stages = Stages(
            ledger,
            self.indexing.blobs,
            FakeReader(),
            self.embedders,
            self.retrieval,
            self.clock,
            StageLimits(),
        )
        self.indexer = Indexer(ledger, Guarded(self.retrieval), stages)

    async def upload(self, document_id: str, text: str, collection: str = "docs") -> Accepted:
        (outcome,) = await self.indexing.service.create_documents(
            ADMIN, collection, [Upload(text.encode(), document_id)]
        )
        return accepted_of(outcome)

    async def work(self) -> None:
        """Relay and handle everything that waits, each document by itself."""
        while True:
            while await self.relay.relay_some():
                pass
            changes = [one for one in self.log.kept.events if one.topic in TOPIC_OF.values()]
            waiting = [*self.again, *changes[self.handled :]]
            self.again, self.handled = [], len(changes)
            for event in waiting:
                try:
                    await self.indexer.handle(Delivery(event))
                except UnavailableError:  # the log would bring it again after a while
                    self.again.append(event)
            if len(self.again) == len(waiting):
                return

    async def work_live(self) -> None:
        """Relay everything, and handle what is urgent; the rest is slow, and comes with `work`."""
        while await self.relay.relay_some():
            pass
        changes = [one for one in self.log.kept.events if one.topic in TOPIC_OF.values()]
        waiting, self.handled = changes[self.handled :], len(changes)
        for event in waiting:
            if event.topic == DOCUMENTS_CHANGED:
                await self.indexer.handle(Delivery(event))
            else:
                self.again.append(event)

    async def want(
        self, encoder: str, policy: MigrationPolicy | None = QUICK, collection: str = "docs"
    ) -> Migration:
        change = IndexChange(encoder=encoder, policy=policy)
        return await self.indexing.service.want_index(ADMIN, collection, change)

    async def estimate(self, encoder: str) -> IndexEstimate:
        return await self.indexing.service.estimate_index(
            ADMIN, "docs", IndexChange(encoder=encoder)
        )

    async def command(self, command: MigrationCommand, reason: str = "because") -> Migration:
        return await self.indexing.service.command_migration(ADMIN, "docs", command, reason=reason)

    async def migration(self) -> Migration:
        return await self.indexing.service.get_migration(ADMIN, "docs")

    async def turn(self, seconds: float = 1.0) -> Migration:
        """Let this much time pass, with one look at the migration and the work it makes."""
        await self.clock.advance(seconds)
        await self.indexing.migrator.look()
        await self.work()
        found = await self.migration()
        if not self.seen or self.seen[-1] is not found.phase:
            self.seen.append(found.phase)
        return found

    async def until(self, *phases: MigrationPhase, seconds: float = 1.0) -> Migration:
        """Go on until the migration is in one of the phases, or does not get there."""
        for _ in range(60):
            found = await self.turn(seconds)
            if found.phase in phases:
                return found
        raise AssertionError(f"still {found.phase}: {found.reason} {found.message}")

    async def candidate_uid(self, collection: str = "docs") -> str:
        """Uid of the version that is being built."""
        route = await self.indexing.service.resolve_route(ADMIN, collection)
        found = await self.indexing.ledger.catalog.find_changing(route.collection_uid)
        assert found is not None
        return found.state.candidate_uid

    async def plant(self, planted: str) -> None:
        """Have the candidate in truth hold nothing, or not all, of what it is believed to hold."""
        while (await self.turn()).percent < 100:
            pass
        candidate = await self.candidate_uid()
        held = await self.retrieval.list_document_digests(INDEXER, candidate, PageRequest())
        for one in held.items[: None if planted == "empty" else 1]:
            await self.memory.delete(candidate, one.document_uid, below_revision=9)

    async def job(self, accepted: Accepted) -> Job:
        return await self.indexing.service.get_job(ADMIN, accepted.job_id)

    async def search(self, text: str, *, affinity: str = "") -> Retrieval:
        """What a question finds by the route that it is given."""
        route = await self.indexing.service.resolve_route(ADMIN, "docs", affinity=affinity)
        query = RetrieveQuery(
            route.index_version_uid, route.collection_uid, Question.parse(text), limit=3
        )
        return await self.retrieval.retrieve(ADMIN, query)

    @property
    def examiner(self) -> Examiner:
        """That of the mesh, without its pauses between questions."""
        return replace(self.indexing.examiner, asker=Asker(self.retrieval, self.clock))

    async def examined(self, seconds: float = 0.0) -> Quality | None:
        """What is shown of the quality after a look that much later."""
        await self.clock.advance(seconds)
        await self.examiner.look()
        return (await self.migration()).quality

    async def verdicts(self, occasion: str = ON_SCHEDULE) -> list[str]:
        """Of all evaluations that are kept, the oldest first."""
        service, found, token = self.indexing.service, [], ""
        while True:
            page = await service.list_evaluations(ADMIN, "docs", PageRequest(1_000, token))
            found += [one.verdict for one in page.items if one.occasion == occasion]
            token = page.next_token
            if not token:
                return found[::-1]

    async def lose(self, topics: tuple[str, ...]) -> None:
        """Delete the documents of these topics."""
        for topic in topics:
            await self.indexing.service.delete_document(ADMIN, "docs", topic)
        await self.work()

    async def keep_golden(self, topics: tuple[str, ...] = TOPICS) -> None:
        content = golden_lines([(f"Where is the {topic} kept?", topic) for topic in topics])
        await self.indexing.service.set_golden_questions(ADMIN, "docs", content)


@asynccontextmanager
async def changing(
    folder: Path,
    *,
    topics: tuple[str, ...] = TOPICS,
    golden: bool = True,
    before: Changing | None = None,
    where: Places | None = None,
    index: VectorIndex | None = None,
    settings: IndexingSettings | None = None,
) -> AsyncIterator[Changing]:
    """The collection in this folder, published whole in its first index version.

    After a restart it works on the index, the log and the clock of `before`. `where` says that its
    stores are elsewhere, and `index` that its chunks are.
    """
    clock, memory = ManualClock(), index or MemoryIndex()
    embedders = FakeEmbedders.of(FakeEncoder(OLD), FakeEncoder(NEW), GarbledEncoder(BAD))
    if before is not None:
        clock, memory, embedders = before.clock, before.memory, before.embedders
    retrieval = RetrievalService(
        embedders, memory, HeadsFollower(memory, clock, Patience(stale_after_seconds=1e9)), clock
    )
    guarded, cache = Guarded(retrieval), FakeAnswerCache()
    async with (
        open_indexing(
            where or places(folder),
            Neighbours(embedders, guarded, cache),
            settings or IndexingSettings(),
            clock,
        ) as indexing,
        asyncio.TaskGroup() as tasks,
    ):
        following = tasks.create_task(retrieval.follow(indexing.service))
        log = MemoryEventLog(clock) if before is None else before.log
        made = Changing(indexing, retrieval, memory, embedders, cache, clock, log)
        made.handled = 0 if before is None else before.handled
        known = await indexing.service.list_collections(ADMIN, PageRequest())
        if not known.items:
            await indexing.service.create_collection(ADMIN, NewCollection("docs", encoder=OLD))
            for topic in topics:
                await made.upload(topic, text_of(topic))
            await made.work()
            if golden:
                await made.keep_golden(topics)
        try:
            yield made
        finally:
            following.cancel()
