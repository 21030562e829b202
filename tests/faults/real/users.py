"""Users of one tenant, who change and search while things fail, and write down what they saw."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from ragmesh.retrieval.follower import STALE_HEADS
from ragmesh.retrieval.service import INDEX_INCOMPLETE
from tests.faults.doors import COLLECTION, AwayError, Doors, RefusedError, doors_at
from tests.faults.history import Call, Outcome, Part, Sight, applied
from tests.faults.reader import MODES, found_of
from tests.faults.real.mesh import RealMesh
from tests.faults.script import Expected, Operation, Script

NAMES = ("anchor", "barn", "eagle", "fish")
CLEAN = "clean"
"""The collection beside, which nothing happens to."""
CHUNK_TOKENS = 40
PATIENCE_SECONDS = 10.0
"""How long a caller waits for anything."""
SETTLE_SECONDS = 240.0
_BREATH_SECONDS = 0.3
"""Between two tries of something that is refused for now."""
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.1
_EXCUSES = frozenset({STALE_HEADS, INDEX_INCOMPLETE})


@dataclass(slots=True)
class Users:
    """One tenant: who writes, and who searches."""

    tenant: str
    doors: Sequence[Doors]
    """Those of each gateway."""
    script: Script
    calls: list[Call] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    """What was told of calls that may have happened or not."""
    foul: list[str] = field(default_factory=list)
    """Answers that nobody may get."""
    guesses: dict[str, Expected] = field(default_factory=dict)
    """What each document is as far as the writer knows, who may be wrong."""
    known: dict[str, float] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    _number: itertools.count[int] = field(default_factory=itertools.count)

    async def begin(self) -> None:
        """The collections, and every document in its first edition."""
        for name in (self.doors[0].collection, CLEAN):
            body = {"name": name, "chunking": {"max_tokens": CHUNK_TOKENS}}
            await insist(self.doors[0].rest, "POST", "/collections", 201, 409, json=body)
        await asyncio.gather(*(self.change(name) for name in NAMES))
        await self.settle()

    async def write(self) -> None:
        """Change documents one after the other, until told that it is enough."""
        while not self.finished.is_set():
            await self.change(self.script.random.choice(NAMES))

    async def change(self, name: str) -> None:
        """Ask for one change, and write down what became of it."""
        guess = self.guesses.get(name, Expected(name))
        operation = self.script.next(guess)
        doors = self.script.random.choice(self.doors)
        await self.ask(operation, doors.apply(operation, self.script.random))

    async def ask(self, operation: Operation, asking: Awaitable[int]) -> None:
        """Wait for an answer to a change, and write it down."""
        call = Call(operation, time.monotonic())
        try:
            revision = await asking
        except AwayError as error:
            self.calls.append(call)
            self.unknown[str(error)] += 1
            await asyncio.sleep(_BREATH_SECONDS)
        except RefusedError as error:
            self.refusals[error.reason] += 1
            ended = time.monotonic()
            self.calls.append(replace(call, ended=ended, outcome=Outcome.REFUSED))
            await asyncio.sleep(_BREATH_SECONDS)
        else:
            ended = time.monotonic()
            answered = replace(call, ended=ended, outcome=Outcome.OK, revision=revision)
            self.calls.append(answered)
            self._learn(operation, revision)

    def _learn(self, operation: Operation, revision: int) -> None:
        """Others may have happened before it, of which nobody told."""
        guess = self.guesses.get(operation.name, Expected(operation.name))
        after = applied(operation, guess) or guess
        missed = revision - after.revision
        if missed > 0:
            gap: tuple[int | None, ...] = (None,) * missed
            after = replace(after, editions=(*after.editions[:-1], *gap, *after.editions[-1:]))
        self.guesses[operation.name] = after

    async def search(self) -> None:
        """Search for one document after the other, until told that it is enough."""
        for name, mode, doors in itertools.cycle(itertools.product(NAMES, MODES, self.doors)):
            if self.finished.is_set():
                return
            await self.look(name, mode, doors)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def look(self, name: str, mode: str, doors: Doors) -> Sight | None:
        """One search for all of a document; None when it was not answered in earnest."""
        began = time.monotonic()
        aside = f"search{next(self._number)}"
        try:
            found = await found_of(doors, name, mode, aside=aside, excuses=_EXCUSES)
        except AwayError:
            await asyncio.sleep(_BREATH_SECONDS)
            return None
        except AssertionError as error:
            self.foul.append(f"{name} by {mode}: {error}")
            await asyncio.sleep(_BREATH_SECONDS)
            return None
        if found is None:
            return None
        ended = time.monotonic()
        parts = tuple(Part(*one) for one in sorted(found))
        sight = Sight(name, began, ended, parts, mode)
        self.sights.append(sight)
        if parts:
            self.known.setdefault(name, ended)
        return sight

    def written(self) -> dict[str, set[int]]:
        """Every edition that anybody has sent, by document."""
        sent: dict[str, set[int]] = {name: set() for name in NAMES}
        for call in self.calls:
            if call.operation.edition:
                sent[call.name].add(call.operation.edition)
        return sent

    async def attributes(self, name: str) -> tuple[str, tuple[str, ...] | None]:
        """(title, access) of a document that is there."""
        path = f"/collections/{self.doors[0].collection}/documents/{name}"
        found = (await insist(self.doors[0].rest, "GET", path, 200)).json()
        access = found["access"]
        return found["title"], None if access is None else tuple(access)

    async def settle(self, collection: str = "") -> None:
        """Return when whatever was accepted is indexed."""
        path = f"/collections/{collection or self.doors[0].collection}/documents"
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                listed = await insist(self.doors[0].rest, "GET", path, 200)
                states = {one["state"] for one in listed.json()["documents"]}
                if states <= {"INDEXED"}:
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def put_clean(self, documents: Iterable[tuple[Expected, str]]) -> None:
        """Put documents as they are into the collection beside; return when they are indexed."""
        path = f"/collections/{CLEAN}/documents"
        for document, text in documents:
            body = {
                "document_id": document.name,
                "text": text,
                "title": document.title,
                "metadata": {"name": document.name},
                "access": document.access,
            }
            await insist(self.doors[0].rest, "POST", path, 200, 202, json=body)
        await self.settle(CLEAN)


async def insist(
    client: httpx.AsyncClient, method: str, path: str, *wanted: int, **body: Any
) -> httpx.Response:
    """Ask again until it is answered so."""
    told: object = None
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                with suppress(httpx.TransportError):
                    reply = await client.request(method, path, **body)
                    if reply.status_code in wanted:
                        return reply
                    told = reply.text
                await asyncio.sleep(_BREATH_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{method} {path} was not answered {wanted}: {told}") from None


@asynccontextmanager
async def users_of(mesh: RealMesh, tenant: str, script: Script) -> AsyncIterator[Users]:
    """The users of a new tenant, with both doors of each gateway."""
    async with AsyncExitStack() as stack:
        admin = {"authorization": f"Bearer {mesh.admin_key}"}
        base = f"http://{mesh.gateways[0].http}/api/v1"
        client = httpx.AsyncClient(base_url=base, timeout=PATIENCE_SECONDS, headers=admin)
        async with client:
            await insist(client, "POST", "/tenants", 201, 409, json={"name": tenant})
            key = {"tenant": tenant, "subject": "writer", "roles": ["admin"]}
            secret = (await insist(client, "POST", "/keys", 201, json=key)).json()["secret"]
        doors = [
            await stack.enter_async_context(
                doors_at(
                    f"http://{gateway.http}",
                    gateway.grpc,
                    collection=COLLECTION,
                    api_key=secret,
                    seconds=PATIENCE_SECONDS,
                )
            )
            for gateway in mesh.gateways
        ]
        for one in doors:  # gateways hear of keys a moment later
            await insist(one.rest, "GET", "/collections", 200)
        yield Users(tenant, doors, script)
