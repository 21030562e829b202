"""Everything of one process between the doors and the disk, without model and parsers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.events import EventLog
from ragmesh.chassis.events.sqlite_log import open_sqlite_event_log
from ragmesh.core.callers import Caller
from ragmesh.core.documents import Accepted, JobState, Upload, accepted_of
from ragmesh.core.questions import Question
from ragmesh.core.search import Retrieval, RetrieveQuery, SearchMode
from ragmesh.indexing.building import Indexing, Neighbours, open_indexing
from ragmesh.indexing.reconciler import Reconciler
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stages import Stages
from ragmesh.indexing.worker import Indexer, Invalidator
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.cache import FakeAnswerCache
from ragmesh.testing.embedding import FakeEmbedder
from ragmesh.testing.reading import FakeReader
from tests.unit.indexing.world import ADMIN, places


@dataclass
class Running:
    indexing: Indexing
    retrieval: RetrievalService
    embedder: FakeEmbedder
    cache: FakeAnswerCache

    async def upload(self, *texts: str, prefix: str = "d") -> tuple[Accepted, ...]:
        uploads = [Upload(text.encode(), f"{prefix}{n}") for n, text in enumerate(texts)]
        outcomes = await self.indexing.service.create_documents(ADMIN, "docs", uploads)
        return tuple(accepted_of(outcome) for outcome in outcomes)

    async def ended(self, accepted: Accepted) -> JobState:
        async for job in self.indexing.service.watch_job(ADMIN, accepted.job_id):
            last = job
        return last.state

    async def search(
        self,
        question: str,
        *,
        limit: int = 1,
        mode: SearchMode = SearchMode.HYBRID,
        caller: Caller = ADMIN,
    ) -> Retrieval:
        route = await self.indexing.service.resolve_route(ADMIN, "docs")
        query = RetrieveQuery(
            index_version_uid=route.index_version_uid,
            collection_uid=route.collection_uid,
            question=Question.parse(question),
            limit=limit,
            mode=mode,
        )
        return await self.retrieval.retrieve(caller, query)

    async def found(self, question: str, *, caller: Caller = ADMIN) -> list[str]:
        return [hit.document_id for hit in (await self.search(question, caller=caller)).hits]


def _as_it_is(port: Any) -> Any:
    return port


@asynccontextmanager
async def running(
    folder: Path,
    *,
    through: Callable[[Any], Any] = _as_it_is,
    cache: Any = None,
    log: EventLog | None = None,
    without: Collection[str] = (),
) -> AsyncIterator[Running]:
    """Everything of one process between the doors and the disk.

    `through` may put something between the pipeline and each of its ports; a log may be given
    instead of the one in the folder, and loops be left out.
    """
    clock, embedder = SystemClock(), FakeEmbedder()
    cache = FakeAnswerCache() if cache is None else cache
    async with AsyncExitStack() as stack:
        index = await stack.enter_async_context(embedded_index(folder / "index", threads=1))
        follower = HeadsFollower(index, clock, Patience())
        retrieval = RetrievalService(embedder, index, follower, clock)
        neighbours = Neighbours(embedder, retrieval, cache)
        indexing = await stack.enter_async_context(
            open_indexing(places(folder), neighbours, IndexingSettings(), clock)
        )
        if log is None:
            opened = open_sqlite_event_log(folder / "events.db", clock)
            log = await stack.enter_async_context(opened)
        ledger, blobs = through(indexing.ledger), through(indexing.blobs)
        reader, embedding, writing = map(through, (FakeReader(), embedder, retrieval))
        stages = Stages(ledger, blobs, reader, embedding, writing, clock)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        made: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "follower": partial(retrieval.follow, indexing.service),
            "relay": Relay(ledger, through(log), clock).run,
            "indexer": partial(Indexer(ledger, writing, stages).run, log, max_in_flight=8),
            "invalidator": partial(Invalidator(cache).run, log),
            "reconciler": Reconciler(ledger, blobs, retrieval, clock).run,
        }
        loops = [tasks.create_task(run()) for name, run in made.items() if name not in without]
        try:
            yield Running(indexing, retrieval, embedder, cache)
        finally:
            for loop in loops:
                loop.cancel()
