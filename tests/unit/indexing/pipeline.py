"""Indexing with a real catalog and blobs, and a pipeline whose every call can be the last."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragmesh.chassis.events import Delivery, Event
from ragmesh.chassis.events.facts import TOPIC_OF
from ragmesh.core.callers import Machine
from ragmesh.core.documents import Accepted, Document, Job, NewCollection, Upload, accepted_of
from ragmesh.core.index import DocumentDigest, Head
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.building import Indexing, Neighbours, open_indexing
from ragmesh.indexing.reconciler import Reconciler, ReconcilerLimits
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stages import StageLimits, Stages
from ragmesh.indexing.worker import Indexer
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.embedding import FakeEmbedder
from ragmesh.testing.events import MemoryEventLog
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.reading import FakeReader
from tests.unit.indexing.world import ADMIN, EVERYBODY, places

TESTER = Machine("tester")


class Killed(BaseException):
    """The process ended here; nothing that handles errors may notice."""


@dataclass
class Fuse:
    """Counts the calls of all ports together and ends the process at one of them."""

    calls: list[str] = field(default_factory=list)
    after: int | None = None
    """Number of the call that happens, but whose result never arrives."""
    hooks: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """What happens elsewhere just before the next call of that name."""
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    """What the next calls of that name raise."""

    def reset(self, *, after: int | None = None) -> None:
        """Count from 0 again."""
        self.calls, self.after = [], after

    async def call(self, name: str, made: Callable[[], Awaitable[Any]]) -> Any:
        """Let a call happen, or not."""
        number = len(self.calls)
        self.calls.append(name)
        hook = self.hooks.pop(name, None)
        if hook is not None:
            await hook()
        if self.errors.get(name):
            raise self.errors[name].pop(0)
        result = await made()
        if number == self.after:
            raise Killed(name)
        return result


class Fused:
    """A port whose calls go over a fuse."""

    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def fused(*args: Any, **kwargs: Any) -> Any:
            return await self._fuse.call(name, lambda: method(*args, **kwargs))

        return fused


@dataclass
class Pipeline:
    """Everything between an upload and a head, driven by hand."""

    indexing: Indexing
    retrieval: RetrievalService
    memory: MemoryIndex
    embedder: FakeEmbedder
    reader: FakeReader
    cache: FakeAnswerCache
    clock: ManualClock
    fuse: Fuse
    log: MemoryEventLog

    def __post_init__(self) -> None:
        self.relay = Relay(self.indexing.ledger, self.log, self.clock)
        self.indexer = self.restarted()
        self.reconciler = Reconciler(
            self.indexing.ledger,
            self.indexing.blobs,
            self.retrieval,
            self.clock,
            ReconcilerLimits(rows=3),
        )

    def restarted(self, *, refused_types: frozenset[str] = frozenset()) -> Indexer:
        """A worker that remembers nothing."""
        ledger = Fused(self.indexing.ledger, self.fuse)
        index = Fused(self.retrieval, self.fuse)
        stages = Stages(
            ledger=ledger,
            blobs=Fused(self.indexing.blobs, self.fuse),
            reader=Fused(self.reader, self.fuse),
            embedder=Fused(self.embedder, self.fuse),
            index=index,
            clock=self.clock,
            limits=StageLimits(8, 2, refused_types),
        )
        return Indexer(ledger, index, stages)

    async def upload(
        self, document_id: str = "a", text: str = "One. Two.", **more: Any
    ) -> Accepted:
        """One upload into the collection `docs`."""
        upload = Upload(text.encode(), document_id, **more)
        (outcome,) = await self.indexing.service.create_documents(ADMIN, "docs", [upload])
        return accepted_of(outcome)

    async def events(self) -> list[Delivery]:
        """What the relay sends now, as a handler gets it."""
        known = len(self._changes())
        while await self.relay.relay_some():
            pass
        return [Delivery(event) for event in self._changes()[known:]]

    def _changes(self) -> list[Event]:
        """What was ever sent about documents, in both lanes."""
        return [event for event in self.log.kept.events if event.topic in TOPIC_OF.values()]

    async def work(self) -> None:
        """Relay and handle everything that waits."""
        while deliveries := await self.events():
            for delivery in deliveries:
                await self.indexer.handle(delivery)

    async def document(self, document_id: str = "a") -> Document:
        """The document as a user sees it."""
        return await self.indexing.service.get_document(ADMIN, "docs", document_id)

    async def job(self, accepted: Accepted) -> Job:
        """The job as a user sees it."""
        return await self.indexing.service.get_job(ADMIN, accepted.job_id)

    async def version(self) -> str:
        """Uid of the one index version of `docs`."""
        route = await self.indexing.service.resolve_route(ADMIN, "docs")
        return route.index_version_uid

    async def held(self) -> tuple[DocumentDigest, ...]:
        """What the index holds."""
        page = await self.retrieval.list_document_digests(TESTER, await self.version(), EVERYBODY)
        return page.items

    async def heads(self) -> tuple[Head, ...]:
        """What is published."""
        return await self.indexing.ledger.list_heads(await self.version())


@asynccontextmanager
async def pipeline(folder: Path) -> AsyncIterator[Pipeline]:
    """A pipeline in this folder, with the empty collection `docs`."""
    clock, cache, embedder, memory = ManualClock(), FakeAnswerCache(), FakeEmbedder(), MemoryIndex()
    retrieval = RetrievalService(embedder, memory, HeadsFollower(memory, clock, Patience()), clock)
    neighbours = Neighbours(embedder, retrieval, cache)
    async with open_indexing(places(folder), neighbours, IndexingSettings(), clock) as indexing:
        made = Pipeline(
            indexing,
            retrieval,
            memory,
            embedder,
            FakeReader(),
            cache,
            clock,
            Fuse(),
            MemoryEventLog(clock),
        )
        if not (await indexing.service.list_collections(ADMIN, PageRequest())).items:
            await indexing.service.create_collection(ADMIN, NewCollection("docs"))
        yield made
