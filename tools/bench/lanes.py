"""P1: what a question's embedding waits for while documents are embedded as fast as they go."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.vectors import Passage
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService
from ragmesh.embedding.settings import EmbeddingSettings
from ragmesh.testing.embedding import NullVectorCache
from tools.bench.loads import Latencies, offer
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.texts import documents

ROUNDS = 5
A_SECOND = 8.0
SECONDS = 5.0
BATCH = 4
AT_ONCE = 4
SENTENCES = 8
MOST_CHARACTERS = 900
"""Longer ones may be over the encoder's window."""
MOST_ADDED = 0.060

ABOUT = f"""\
One question at a time is embedded by schedule, {A_SECOND:g} a second for {SECONDS:g} s, with
nothing else to do and beside {AT_ONCE} callers who have passages of about 200 tokens embedded,
{BATCH} at a time, without a pause. {ROUNDS} rounds in turns, no vector from a cache. Medians of
the rounds."""


async def measure_lanes(_folder: Path | None) -> Table:
    """Idle and busy in turns."""
    idle: list[Latencies] = []
    busy: list[Latencies] = []
    rates: list[float] = []
    async with open_embedder() as embedder:
        asked = itertools.count()

        async def ask() -> None:
            await embedder.embed_texts(
                [f"How many days of leave does colleague {next(asked)} have?"]
            )

        for _ in range(ROUNDS):
            idle.append(await offer(ask, a_second=A_SECOND, seconds=SECONDS))
            async with _bulk(embedder, rates):
                busy.append(await offer(ask, a_second=A_SECOND, seconds=SECONDS))
    alone, beside = _median(idle, 0.95), _median(busy, 0.95)
    limit = max(2 * alone, alone + MOST_ADDED)
    rate = statistics.median(rates)
    goals = (
        Goal("a question, p95", _ms(beside), f"≤ {_ms(limit)}", beside <= limit, _ms(alone)),
        Goal("a question, p50", _ms(_median(busy, 0.5)), NOT_SAID, None, _ms(_median(idle, 0.5))),
        Goal("passages a second meanwhile", f"{rate:.0f}", NOT_SAID, None, NOT_SAID),
    )
    return Table("P1: questions beside bulk", ABOUT, goals, beside="idle")


@asynccontextmanager
async def open_embedder() -> AsyncIterator[EmbeddingService]:
    """The default encoder as the mesh runs it."""
    settings, clock = EmbeddingSettings(), SystemClock()
    async with open_encoders(settings, probes=Path(), clock=clock) as encoders:
        yield EmbeddingService(
            encoders, cache=NullVectorCache(), clock=clock, limits=settings.limits
        )


@asynccontextmanager
async def _bulk(embedder: EmbeddingService, rates: list[float]) -> AsyncIterator[None]:
    """Full load on the bulk lane; how many passages a second it made of it."""
    texts = (
        text
        for text in documents(None, sentences=SENTENCES, seed=1)
        if len(text) <= MOST_CHARACTERS
    )
    done = 0

    async def embed() -> None:
        nonlocal done
        while True:
            batch = [Passage(text, ()) for text in itertools.islice(texts, BATCH)]
            await embedder.embed_passages(batch)
            done += len(batch)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(embed()) for _ in range(AT_ONCE)]
        begun = loop.time()
        yield
        rates.append(done / (loop.time() - begun))
        for task in tasks:
            task.cancel()


def _median(rounds: list[Latencies], share: float) -> float:
    return statistics.median(seen.quantile(share) for seen in rounds)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
