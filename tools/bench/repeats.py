"""C1: that the cache never gives a question the answer of another, and what a hit costs."""

from __future__ import annotations

import csv
import gzip
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ragmesh.cache.adapters.memory import MemoryAnswers, MemoryHits, MemoryVectors
from ragmesh.cache.service import CacheService
from ragmesh.cache.settings import CacheSettings
from ragmesh.chassis.clocks import SystemClock
from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import (
    Answer,
    AnswerStatus,
    AskQuery,
    Citation,
    Delta,
    Generated,
    GenerateQuery,
    GenerationEvent,
    Usage,
)
from ragmesh.core.callers import Caller
from ragmesh.core.questions import Question
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.parsing import parse_ask
from ragmesh.gateway.service import GatewayService
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from ragmesh.testing.generation import FakeGenerator
from ragmesh.testing.near_misses import NEAR_MISSES
from tools.bench.handbook import HANDBOOK, fill_handbook, new_questions
from tools.bench.page import NOT_SAID, Goal, Table
from tools.quickstart import running_mesh

PAIRS = 300
MOST_SHARE = 0.1

ABOUT = f"""\
Every question of the folder (`*.csv` or `*.csv.gz` with the columns `text` and `category`) and both
of each of {len(NEAR_MISSES)} pairs that only look alike are asked twice through the gateway and its
cache, before an engine that answers each with its own words. A wrong answer is one that was made
for a question of another category, or for the other one of the pair. A miss and a hit: `Ask` over
gRPC on the example handbook in one process, {PAIRS} new questions, each asked twice in turns, the
first time answered by the extractive engine. Medians; the share is the median of the pairs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and what its answer may not be confused with."""

    text: str
    meaning: str


async def measure_repeats(folder: Path | None) -> Table:
    """First what is right, then what it costs."""
    asked = [*_known(folder), *_near_misses()]
    hits, wrong = await _wrong(asked)
    misses: list[float] = []
    found: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as place, running_mesh(place) as address:
        async with gateway_client(address) as client:
            await fill_handbook(client)
            for question in itertools.islice(new_questions(), PAIRS):
                misses.append(await _ask(client, question, cached=False))
                found.append(await _ask(client, question, cached=True))
    # The first ones warm both up.
    misses, found = misses[PAIRS // 10 :], found[PAIRS // 10 :]
    share = statistics.median(hit / miss for hit, miss in zip(found, misses, strict=True))
    goals = (
        Goal("wrong answers", str(wrong), "0", not wrong, NOT_SAID),
        Goal("questions asked", f"{len(asked):,}", NOT_SAID, None, NOT_SAID),
        Goal("of them found when asked again", f"{hits:,}", NOT_SAID, None, NOT_SAID),
        Goal(
            "a hit, p50",
            _ms(statistics.median(found)),
            NOT_SAID,
            None,
            _ms(statistics.median(misses)),
        ),
        Goal("share of a miss", f"{share:.3f}", "≤ 0.1", share <= MOST_SHARE, "1"),
    )
    return Table("C1: the exact cache", ABOUT, goals, beside="a miss")


def _known(folder: Path | None) -> Iterator[Asked]:
    paths = [] if folder is None else sorted(folder.glob("*.csv*"))
    for path in paths:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                yield Asked(row["text"], f"category {row['category']}")


def _near_misses() -> Iterator[Asked]:
    for text in dict.fromkeys(itertools.chain.from_iterable(NEAR_MISSES)):
        yield Asked(text, f"words {text}")


async def _wrong(asked: list[Asked]) -> tuple[int, int]:
    """How many were answered from the cache the second time, and how many of them wrongly."""
    service = await _echoing()
    queries = [(parse_ask(COLLECTION, one.text), one.meaning) for one in asked]
    meanings: dict[str, set[str]] = {}
    for query, meaning in queries:
        meanings.setdefault(query.question.text, set()).add(meaning)
    hits = wrong = 0
    for turn in range(2):
        for query, meaning in queries:
            answer = await service.ask(DEVELOPER, query, request_id="bench")
            hits += turn and answer.cached
            wrong += meaning not in meanings[answer.answer]
    return hits, wrong


class Echo(FakeGenerator):
    """Answers every question with its own words, and cites what was found."""

    async def generate(
        self,
        caller: Caller,  # noqa: ARG002 - the port's
        query: GenerateQuery,
    ) -> AsyncGenerator[GenerationEvent, None]:
        """The question, a citation, the end."""
        (hit,) = query.retrieval.hits
        yield Delta(query.question.text)
        yield Citation(
            marker="[1]",
            document_uid=hit.document_uid,
            document_id=hit.document_id,
            revision=hit.revision,
            title=hit.title,
            chunk_id=hit.chunk_id,
            quote=hit.text,
            span=hit.span,
            page=None,
            headings=(),
        )
        yield Generated(AnswerStatus.ANSWERED, 1.0, 1.0, self.description.model, Usage())


async def _echoing() -> GatewayService:
    """The gateway and its cache as they are; behind them nothing that takes time."""
    clock, settings = SystemClock(), CacheSettings()
    mesh = await FakeMesh(generator=Echo(), clock=clock).with_collection()
    cache = CacheService(
        MemoryAnswers(replace(settings.answer_limits(), size_bytes=1_000_000_000), clock),
        MemoryHits(settings.hit_limits(), clock),
        MemoryVectors(settings.vector_bytes(), settings.vector_ttl_seconds, clock),
    )
    return replace(mesh.service(), cache=cache)


async def _ask(client: GatewayClient, question: Question, *, cached: bool) -> float:
    begun = time.perf_counter()
    answer: Answer = await client.ask(AskQuery(HANDBOOK, question))
    taken = time.perf_counter() - begun
    if answer.status is not AnswerStatus.ANSWERED or answer.cached is not cached:
        raise SystemExit(f"{question.text} was answered with {answer}: the run is void")
    return taken


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
