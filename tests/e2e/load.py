"""A steady load of everything that users do, which remembers what was answered and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import AskQuery, CacheMode
from ragmesh.core.documents import Upload
from ragmesh.core.errors import Kind, RagmeshError
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery

PAUSE_SECONDS = 0.05
_QUESTION = Question.parse("What do the owls of the load eat?")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call that came back."""

    what: str
    ended: float
    """Monotonic seconds."""
    error: RagmeshError | None


@dataclass(slots=True)
class Load:
    """Calls under way, what became of earlier ones, and what must not get lost."""

    client: GatewayClient
    collection: str
    outcomes: list[Outcome] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    """Documents whose upload was answered with OK."""
    doomed: set[str] = field(default_factory=set)
    """Documents whose deletion was asked for, whatever became of that."""
    deleted: set[str] = field(default_factory=set)
    """Documents whose deletion was answered with OK."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """A call came back."""
    _count: int = 0

    async def ask(self) -> None:
        """Have an answer made anew."""
        await self.client.ask(AskQuery(self.collection, _QUESTION, cache=CacheMode.BYPASS))

    async def ask_again(self) -> None:
        """Have an answer that may come from the cache."""
        await self.client.ask(AskQuery(self.collection, _QUESTION))

    async def search(self) -> None:
        """Search."""
        await self.client.search(SearchQuery(self.collection, _QUESTION))

    async def upload(self) -> None:
        """Upload a document of its own, and now and then delete one."""
        self._count += 1
        document_id = f"d{self._count}"
        text = f"Owl {document_id} of the load eats {self._count} voles a week."
        upload = Upload(text.encode(), document_id=document_id, content_type="text/plain")
        await self.client.create_document(self.collection, upload)
        self.acknowledged.add(document_id)
        if self._count % 5 == 0:
            self.doomed.add(document_id)
            await self.client.delete_document(self.collection, document_id)
            self.deleted.add(document_id)

    async def look(self) -> None:
        """List documents."""
        await self.client.list_documents(self.collection, page=PageRequest(size=10))

    def errors(self) -> list[Outcome]:
        """What failed."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]

    async def all_well_after(self, moment: float) -> None:
        """Return once each kind of call was answered well after that moment."""
        missing = {"ask", "ask_again", "search", "upload", "look"}
        while missing:
            self.came.clear()
            await self.came.wait()
            last = self.outcomes[-1]
            if last.ended > moment and last.error is None:
                missing.discard(last.what)

    async def repeat(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make the call again and again, until cancelled."""
        name = getattr(call, "__name__", "")
        while True:
            error = None
            try:
                await call()
            except RagmeshError as raised:
                error = raised
            self.outcomes.append(Outcome(name, time.monotonic(), error))
            self.came.set()
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def loaded(address: str, collection: str) -> AsyncIterator[Load]:
    """The load runs for the time of the block, on this collection."""
    async with gateway_client(address, deadline_seconds=20) as client, asyncio.TaskGroup() as group:
        load = Load(client, collection)
        calls = (load.ask, load.ask_again, load.search, load.upload, load.look)
        tasks = [group.create_task(load.repeat(call)) for call in calls]
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


def is_unavailable(outcome: Outcome) -> bool:
    """Whether the call failed, and in the one way in which it may."""
    return outcome.error is not None and outcome.error.kind is Kind.UNAVAILABLE
