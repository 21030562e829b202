"""S4: what a search waits for beside a writer at full speed, and how fresh what it finds is."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from tools.bench.chunks import CHUNKS_A_DOCUMENT, Writer, fill, search, spec_of_index
from tools.bench.loads import Latencies, offer
from tools.bench.page import NOT_SAID, Goal, Table

ROUNDS = 5
CHUNKS = 20_000
A_SECOND = 20.0
SECONDS = 4.0
MOST_TIMES = 3.0
FRESH_SECONDS = 0.2

ABOUT = f"""\
The embedded index with {CHUNKS:,} chunks of random vectors. Searches by meaning and by words for
ten chunks come by schedule, {A_SECOND:g} a second for {SECONDS:g} s, with nothing else to do and
beside a writer that keeps and publishes documents of {CHUNKS_A_DOCUMENT} chunks without a pause.
{ROUNDS} rounds in turns. Fresh is a document when a search finds it, counted from the beginning
of its write. Medians of the rounds."""


@dataclass(slots=True)
class Writing:
    """What the writer did during the rounds."""

    rates: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    """Seconds until a search found what was written."""
    missed: int = 0


async def measure_reading(_folder: Path | None) -> Table:
    """Idle and busy in turns, on one index that grows."""
    idle: list[Latencies] = []
    busy: list[Latencies] = []
    writing = Writing()
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        async with embedded_index(Path(folder)) as index:
            spec = spec_of_index()
            await index.create(spec)
            writer = Writer(index, spec)
            await fill(writer, CHUNKS)

            async def look() -> None:
                await search(index, spec, writer.vector(), "which service answers a question")

            for _ in range(ROUNDS):
                idle.append(await offer(look, a_second=A_SECOND, seconds=SECONDS))
                async with _written(writer, index, writing):
                    busy.append(await offer(look, a_second=A_SECOND, seconds=SECONDS))
    return _table(idle, busy, writing)


@asynccontextmanager
async def _written(writer: Writer, index: EmbeddedIndex, writing: Writing) -> AsyncIterator[None]:
    """The writer at work for the time of the block."""
    first, begun = writer.next_number, time.perf_counter()

    async def write() -> None:
        while True:
            start = time.perf_counter()
            written = await writer.write()
            vector, words = written.chunks[0].vector, written.chunks[0].draft.text
            found = await search(index, writer.spec, vector, words)
            writing.fresh.append(time.perf_counter() - start)
            writing.missed += written.document_uid not in found

    async with asyncio.TaskGroup() as group:
        task = group.create_task(write())
        yield
        task.cancel()
    chunks = (writer.next_number - first) * CHUNKS_A_DOCUMENT
    writing.rates.append(chunks / (time.perf_counter() - begun))


def _table(idle: list[Latencies], busy: list[Latencies], writing: Writing) -> Table:
    alone, beside = _median(idle, 0.95), _median(busy, 0.95)
    fresh = Latencies(tuple(sorted(writing.fresh)))
    late, rate = fresh.quantile(0.95), statistics.median(writing.rates)
    limit = MOST_TIMES * alone
    goals = (
        Goal("a search, p95", _ms(beside), f"≤ {_ms(limit)}", beside <= limit, _ms(alone)),
        Goal("a search, p50", _ms(_median(busy, 0.5)), NOT_SAID, None, _ms(_median(idle, 0.5))),
        Goal("fresh, p95", _ms(late), f"≤ {_ms(FRESH_SECONDS)}", late <= FRESH_SECONDS, NOT_SAID),
        Goal(
            "written, but not found at once",
            f"{writing.missed} of {len(writing.fresh)}",
            "0",
            not writing.missed,
            NOT_SAID,
        ),
        Goal("chunks written a second", f"{rate:,.0f}", NOT_SAID, None, NOT_SAID),
    )
    return Table("S4: searches beside writes", ABOUT, goals, beside="idle")


def _median(rounds: list[Latencies], share: float) -> float:
    return statistics.median(seen.quantile(share) for seen in rounds)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
