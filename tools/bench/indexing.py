"""Indexing on real servers beside files: how fast, how soon, and how many uploads are taken.

Starts and stops its servers. The encoder is a fake in this process.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.documents import Accepted, JobState, Upload
from ragmesh.core.errors import RagmeshError
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchMode, SearchQuery
from tools.bench.loads import crowd, latencies, serve
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.shapes import COLLECTION, Distributed, distributed, embedded, encoder_settings
from tools.bench.texts import documents

ROUNDS = 5
DOCUMENTS = 300
WARMING = 60
BYTES = 2_048
AT_ONCE = 32
LEAST_OF_FILES, LEAST_OF_ONE = 0.7, 1.5
UPLOADS = 1_500
UPLOADS_A_MINUTE = 10_000
A_SECOND, SECONDS = 20.0, 30.0
MOST_LAG_SECONDS = 5.0
_PAUSE_SECONDS = 0.05
Answer = TypeVar("Answer")

ABOUT_RATE = f"""\
{DOCUMENTS} new texts of {BYTES:,} bytes are sent over gRPC, {AT_ONCE} at once, and counted until
the last job has ended: to a mesh in one process on files, and to a process a target on Kafka,
Weaviate, PostgreSQL, S3 and Redis, with one indexer and with two. All on one machine, with settings
as they ship; the encoder is a fake whose vectors are made of chance. {ROUNDS} rounds in turns, each
after {WARMING} texts that are not counted; ratios are the medians of those of the rounds. Processor
time is that of the whole machine meanwhile, servers and sender included."""
ABOUT_UPLOADS = f"""\
Texts of {BYTES:,} bytes are sent over gRPC to one gateway, each in a request of its own, {AT_ONCE}
at once, {UPLOADS:,} a round, and counted when they are acknowledged, which is when file and catalog
are durable. The indexers of the distributed mesh are stopped meanwhile; the one process on files
indexes beside, and is waited for. {ROUNDS} rounds in turns; medians."""
ABOUT_LAG = f"""\
Texts of {BYTES:,} bytes come by schedule, {A_SECOND:g} a second for {SECONDS:g} s, to the
distributed mesh with two indexers; from the moment of its schedule until a search by a word that
only it holds finds it. Weaviate's flush of 2 s is part of it."""


async def measure_indexing(_folder: Path | None) -> Table:
    """Files, one indexer and two, in turns."""
    sides: dict[str, list[Rate]] = {"files": [], "one": [], "two": []}
    texts = _texts()
    async with _both() as (files, mesh):
        for _ in range(ROUNDS):
            sides["files"].append(await _rate(files, texts))
            sides["two"].append(await _rate(mesh.client, texts))
            await asyncio.to_thread(mesh.processes.send, "indexer-2", signal.SIGTERM)
            sides["one"].append(await _rate(mesh.client, texts))
            await asyncio.to_thread(mesh.processes.start, "indexer-2")
    of_files, of_one = _ratio(sides["one"], sides["files"]), _ratio(sides["two"], sides["one"])
    goals = (
        Goal(
            "one indexer, of files",
            f"{of_files:.2f} x",
            f"≥ {LEAST_OF_FILES} x",
            of_files >= LEAST_OF_FILES,
            "1",
        ),
        Goal(
            "two indexers, of one",
            f"{of_one:.2f} x",
            f"≥ {LEAST_OF_ONE} x",
            of_one >= LEAST_OF_ONE,
            NOT_SAID,
        ),
        *_told("one indexer", sides["one"], sides["files"]),
        *_told("two indexers", sides["two"], sides["files"]),
    )
    return Table("Indexing on real servers", ABOUT_RATE, goals, beside="on files")


async def measure_accepting(_folder: Path | None) -> Table:
    """How many uploads one gateway takes."""
    ours: list[float] = []
    beside: list[float] = []
    texts = _texts()
    async with _both() as (files, mesh):
        for name in ("indexer-2", "indexer-1"):
            await asyncio.to_thread(mesh.processes.send, name, signal.SIGTERM)
        for number in range(ROUNDS + 1):
            taken, _ = await _taken(mesh.client, texts)
            taken_by_files, last_job = await _taken(files, texts)
            await _ended(files, last_job)  # so that nobody works while the other is measured
            if number:  # the first warms both up
                ours.append(taken)
                beside.append(taken_by_files)
        await asyncio.to_thread(mesh.processes.start, "indexer-1", "indexer-2")
    a_minute = statistics.median(ours)
    goal = Goal(
        "uploads of 2 KB a minute",
        f"{a_minute:,.0f}",
        f"≥ {UPLOADS_A_MINUTE:,}",
        a_minute >= UPLOADS_A_MINUTE,
        f"{statistics.median(beside):,.0f}",
    )
    return Table("Uploads that one gateway takes", ABOUT_UPLOADS, (goal,), beside="on files")


async def measure_lag(_folder: Path | None) -> Table:
    """From an upload to a search that finds it."""
    texts = _texts()
    async with encoder_settings() as settings, distributed(settings) as mesh:
        await _rate(mesh.client, texts)  # warm

        async def until_found() -> None:
            await _until_found(mesh.client, next(texts))

        moments = [number / A_SECOND for number in range(round(A_SECOND * SECONDS))]
        seen = latencies(await serve(until_found, moments))
    p95 = seen.quantile(0.95)
    goals = (
        Goal(
            "searchable, p95",
            f"{p95:.1f} s",
            f"≤ {MOST_LAG_SECONDS:g} s",
            p95 <= MOST_LAG_SECONDS,
            NOT_SAID,
        ),
        Goal("searchable, p50", f"{seen.quantile(0.5):.1f} s", NOT_SAID, None, NOT_SAID),
        Goal("failed", str(seen.failed), "0", not seen.failed, NOT_SAID),
    )
    return Table("From upload to search", ABOUT_LAG, goals, beside=NOT_SAID)


@dataclass(frozen=True, slots=True)
class Text:
    """A document, and the word that only it holds."""

    word: str
    upload: Upload


def _texts() -> Iterator[Text]:
    """Documents without end, no two alike."""
    for number, text in enumerate(documents(None, sentences=20, seed=8)):
        word = f"numbered{number}"
        content = f"{word}. {text}".encode()[:BYTES].decode(errors="ignore").encode()
        yield Text(word, Upload(content, f"d{number}", content_type="text/markdown"))


@asynccontextmanager
async def _both() -> AsyncIterator[tuple[GatewayClient, Distributed]]:
    async with (
        encoder_settings() as settings,
        embedded(settings) as files,
        distributed(settings) as mesh,
    ):
        yield files, mesh


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast documents were indexed, and what each of them cost."""

    a_second: float
    processor_seconds: float


async def _rate(client: GatewayClient, texts: Iterator[Text]) -> Rate:
    """Of documents, until all are indexed."""
    await _index(client, texts, WARMING)
    begun, spent = time.perf_counter(), _processor_seconds()
    await _index(client, texts, DOCUMENTS)
    a_second = DOCUMENTS / (time.perf_counter() - begun)
    return Rate(a_second, (_processor_seconds() - spent) / DOCUMENTS)


def _processor_seconds() -> float:
    """What all processors of this machine were at work since it was started."""
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


async def _index(client: GatewayClient, texts: Iterator[Text], count: int) -> None:
    """Send so many, and return once the last job has ended."""
    sending = itertools.islice(texts, count)

    async def some(following: asyncio.TaskGroup) -> None:
        for text in sending:
            accepted = await _sent(client, text)
            following.create_task(_ended(client, accepted.job_id))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some(group))


async def _sent(client: GatewayClient, text: Text) -> Accepted:
    """The upload, acknowledged."""
    return await _patiently(lambda: client.create_document(COLLECTION, text.upload))


async def _ended(client: GatewayClient, job_id: str) -> None:
    """Return once the job has succeeded."""
    state = await _patiently(lambda: _last_state(client, job_id))
    if state is not JobState.SUCCEEDED:
        raise SystemExit(f"a job ended as {state.value}, the run is void")


async def _last_state(client: GatewayClient, job_id: str) -> JobState:
    state = JobState.QUEUED
    async for job in client.watch_job(job_id):
        state = job.state
    return state


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again for as long as the mesh has no room: one key may have so much under way."""
    while True:
        try:
            return await ask()
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            await asyncio.sleep(error.retry_after_seconds or _PAUSE_SECONDS)


async def _taken(client: GatewayClient, texts: Iterator[Text]) -> tuple[float, str]:
    """Uploads acknowledged a minute, and the job of the last one."""
    jobs: list[str] = []

    async def send() -> None:
        accepted = await _sent(client, next(texts))
        jobs.append(accepted.job_id)

    begun = time.perf_counter()
    await crowd(send, UPLOADS, at_once=AT_ONCE)
    return len(jobs) * 60 / (time.perf_counter() - begun), jobs[-1]


async def _until_found(client: GatewayClient, text: Text) -> None:
    accepted = await _sent(client, text)
    await _ended(client, accepted.job_id)
    query = SearchQuery(COLLECTION, Question.parse(text.word), limit=1, mode=SearchMode.KEYWORD)
    while True:
        found = await client.search(query)
        if found.hits:
            return
        await asyncio.sleep(_PAUSE_SECONDS)


def _ratio(ours: list[Rate], theirs: list[Rate]) -> float:
    return statistics.median(
        one.a_second / other.a_second for one, other in zip(ours, theirs, strict=True)
    )


def _told(name: str, ours: list[Rate], theirs: list[Rate]) -> tuple[Goal, Goal]:
    here, there = (statistics.median(one.a_second for one in side) for side in (ours, theirs))
    cost, beside = (
        1e3 * statistics.median(one.processor_seconds for one in side) for side in (ours, theirs)
    )
    return (
        Goal(f"documents a second, {name}", f"{here:.0f}", NOT_SAID, None, f"{there:.0f}"),
        Goal(
            f"processor time of a document, {name}",
            f"{cost:.0f} ms",
            NOT_SAID,
            None,
            f"{beside:.0f} ms",
        ),
    )
