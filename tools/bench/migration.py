"""A collection changes its index while it is searched: how long it takes, and who notices."""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import Chunking, NewCollection, Upload
from ragmesh.core.migrations import (
    CanaryStep,
    IndexChange,
    Migration,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from tools.bench.loads import Latencies, latencies, serve
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.shapes import COLLECTION, embedded, encoder_settings, in_thread
from tools.bench.texts import documents
from tools.quickstart import running_mesh

FAKE_DOCUMENTS, DOCUMENTS, SENTENCES = 200, 90, 60
FLIPS, ROUNDS = 3, 4
A_SECOND, IDLE_SECONDS = 8.0, 8.0
WHOLE = 10_000
MOST_TIMES, MOST_ROLLBACK_SECONDS = 1.3, 5.0
_QUIET_SECONDS = 2.0
_LOOK_SECONDS = 0.02
_SELDOM_SECONDS = 0.25
"""A look costs the mesh some milliseconds, which the searches beside it would bear."""
_LONGEST_SECONDS = 200.0
_AT_ONCE = 16
OLD, NEW = "exact", "fast"

ABOUT = f"""\
A mesh in one process. *Encoder excluded*: {FAKE_DOCUMENTS} documents of {SENTENCES} sentences get
another size of chunks, with a fake encoder whose vectors are made of chance, no limit of
documents a second and a canary that is held; {FLIPS} times, medians, and counted up to {WHOLE:,}
chunks. Then the candidate is promoted and rolled back: the seconds are those until the last of
the questions, asked one after another, that still another version answered. *Encoder included*:
{DOCUMENTS} documents go from the encoder {OLD} to {NEW} with settings as they ship, once with
nothing else to do and {ROUNDS} times with searches by schedule, {A_SECOND:g} a second, beside
{IDLE_SECONDS:g} s of the same searches before it; the ratio is the median of those of the rounds.
Whether it is over is asked every {_SELDOM_SECONDS:g} s. A gate without golden questions is approved
at once."""


@dataclass(frozen=True, slots=True)
class Flip:
    """One migration to another size of chunks, there and back."""

    chunks: int
    filled: float
    """Seconds until the candidate was complete and judged."""
    flip: float
    rollback: float


@dataclass(frozen=True, slots=True)
class Change:
    """One migration to another encoder, and the searches before it and meanwhile."""

    chunks: int
    seconds: float
    idle: Latencies
    meanwhile: Latencies

    @property
    def times(self) -> float:
        return self.meanwhile.quantile(0.95) / self.idle.quantile(0.95)


async def measure_migration(_folder: Path | None) -> Table:
    """Without an encoder, then with one."""
    flips = await _flips()
    alone, changes = await _changes()
    return Table(
        "Changing the index of a live collection",
        ABOUT,
        (*_of_flips(flips), *_of_changes(alone, changes)),
        beside="idle",
    )


async def _flips() -> list[Flip]:
    free = {
        "RAGMESH_INDEXING__MIGRATION_DOCUMENTS_PER_SECOND": "1000000",
        "RAGMESH_INDEXING__MIGRATION_PAUSE_SECONDS": "0.1",
    }
    async with encoder_settings() as settings, embedded({**settings, **free}) as client:
        await _fill(client, COLLECTION, FAKE_DOCUMENTS)
        return [await _flip(client, 200 - 10 * number) for number in range(FLIPS)]


async def _flip(client: GatewayClient, max_tokens: int) -> Flip:
    policy = MigrationPolicy(canary=(CanaryStep(10, 600.0),), soak_seconds=600.0)
    change = IndexChange(chunking=Chunking(max_tokens), policy=policy)
    begun = time.perf_counter()
    wanted = await client.want_index(COLLECTION, change)
    found = await _reached(client, COLLECTION, {MigrationPhase.CANARY})
    filled = time.perf_counter() - begun
    flip = await _moved(client, MigrationCommand.PROMOTE, found.candidate)
    await _reached(client, COLLECTION, {MigrationPhase.SOAKING})
    chunks = (await client.get_collection(COLLECTION)).chunks
    rollback = await _moved(client, MigrationCommand.ROLLBACK, wanted.serving)
    await _reached(client, COLLECTION, {MigrationPhase.IDLE, MigrationPhase.FAILED})
    return Flip(chunks, filled, flip, rollback)


async def _moved(client: GatewayClient, command: MigrationCommand, to: str) -> float:
    """Seconds until the command was taken and the last question answered by another version."""
    questions = _questions()
    begun = time.perf_counter()
    await client.command_migration(COLLECTION, command, reason="bench")
    last = time.perf_counter()
    while time.perf_counter() - last < _QUIET_SECONDS:
        result = await client.search(SearchQuery(COLLECTION, next(questions), limit=5))
        if result.index_version != to:
            last = time.perf_counter()
    return last - begun


async def _changes() -> tuple[Change, list[Change]]:
    """The first one alone, and those beside searches."""
    encoders = json.dumps([{"name": name, "kind": name} for name in (OLD, NEW)])
    async with _mesh({"RAGMESH_EMBEDDING__ENCODERS": encoders}) as client:
        alone = await _change(client, "alone", searched=False)
        return alone, [
            await _change(client, f"live-{number}", searched=True) for number in range(ROUNDS)
        ]


async def _change(client: GatewayClient, name: str, *, searched: bool) -> Change:
    await client.create_collection(NewCollection(name, encoder=OLD))
    await _fill(client, name, DOCUMENTS)
    chunks, questions = (await client.get_collection(name)).chunks, _questions()

    async def search() -> None:
        await client.search(SearchQuery(name, next(questions), limit=5))

    over = asyncio.Event()
    times = itertools.takewhile(lambda _: not over.is_set(), _schedule())
    idle = await serve(search, list(itertools.islice(_schedule(), round(A_SECOND * IDLE_SECONDS))))
    async with asyncio.TaskGroup() as group:
        meanwhile = group.create_task(serve(search, times if searched else ()))
        begun = time.perf_counter()
        policy = MigrationPolicy(canary=(), soak_seconds=0.0)
        await client.want_index(name, IndexChange(encoder=NEW, policy=policy))
        over_in = {MigrationPhase.SOAKING, MigrationPhase.IDLE}
        await _reached(client, name, over_in, flips=1, every=_SELDOM_SECONDS)
        seconds = time.perf_counter() - begun
        over.set()
    return Change(chunks, seconds, latencies(idle), latencies(meanwhile.result()))


async def _reached(
    client: GatewayClient,
    name: str,
    phases: set[MigrationPhase],
    *,
    flips: int = 0,
    every: float = _LOOK_SECONDS,
) -> Migration:
    """The migration once it is in one of these phases; a gate that holds it is answered."""
    async with asyncio.timeout(_LONGEST_SECONDS):
        while True:
            found = await client.get_migration(name)
            if found.phase in phases and found.flips >= flips:
                return found
            if found.held is not None:
                await client.command_migration(name, MigrationCommand.APPROVE, reason="bench")
            await asyncio.sleep(every)


async def _fill(client: GatewayClient, name: str, count: int) -> None:
    texts = documents(None, sentences=SENTENCES, seed=len(name) + count)
    room = asyncio.Semaphore(_AT_ONCE)

    async def add(number: int, text: str) -> None:
        async with room:
            accepted = await client.create_document(name, Upload(text.encode(), f"d{number}"))
            async for _ in client.watch_job(accepted.job_id):
                pass

    await asyncio.gather(
        *(add(number, text) for number, text in enumerate(itertools.islice(texts, count)))
    )


@asynccontextmanager
async def _mesh(settings: dict[str, str]) -> AsyncIterator[GatewayClient]:
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        async with (
            in_thread(running_mesh(folder, settings)) as address,
            gateway_client(address) as client,
        ):
            yield client


def _schedule() -> Iterator[float]:
    return (number / A_SECOND for number in itertools.count())


def _questions() -> Iterator[Question]:
    """Questions without end, no two alike."""
    for number, text in enumerate(documents(None, sentences=1, seed=10)):
        yield Question.parse(f"{text.splitlines()[-1][:120]} Asked as number {number}.")


def _of_flips(flips: list[Flip]) -> tuple[Goal, ...]:
    excluded = statistics.median(one.filled * WHOLE / one.chunks for one in flips)
    rollback = max(one.rollback for one in flips)
    flip = statistics.median(one.flip for one in flips)
    return (
        Goal(f"{WHOLE:,} chunks, encoder excluded", f"{excluded:.1f} s", NOT_SAID, None, NOT_SAID),
        Goal("flip", f"{flip:.2f} s", NOT_SAID, None, NOT_SAID),
        Goal(
            "rollback, longest",
            f"{rollback:.2f} s",
            f"≤ {MOST_ROLLBACK_SECONDS:g} s",
            rollback <= MOST_ROLLBACK_SECONDS,
            NOT_SAID,
        ),
    )


def _of_changes(alone: Change, changes: list[Change]) -> tuple[Goal, ...]:
    included = alone.seconds * WHOLE / alone.chunks
    searched = statistics.median(one.seconds * WHOLE / one.chunks for one in changes)
    times = statistics.median(one.times for one in changes)
    idle, meanwhile = (
        statistics.median(seen.quantile(0.95) for seen in side)
        for side in zip(*((one.idle, one.meanwhile) for one in changes), strict=True)
    )
    failed = sum(one.idle.failed + one.meanwhile.failed for one in changes)
    made = sum(len(one.meanwhile.seconds) for one in changes)
    return (
        Goal(f"{WHOLE:,} chunks, encoder included", f"{included:.0f} s", NOT_SAID, None, NOT_SAID),
        Goal(f"{WHOLE:,} chunks, beside searches", f"{searched:.0f} s", NOT_SAID, None, NOT_SAID),
        Goal("a search meanwhile, p95", _ms(meanwhile), NOT_SAID, None, _ms(idle)),
        Goal(
            "a search meanwhile, p95, of an idle one",
            f"{times:.2f} x",
            f"≤ {MOST_TIMES:g} x",
            times <= MOST_TIMES,
            "1",
        ),
        Goal("searches that failed", f"{failed} of {made}", "0", not failed, NOT_SAID),
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
