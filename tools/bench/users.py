"""L1: a hundred users who ask and read, with and without questions that were asked before."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import Answer, AnswerStatus, AskQuery
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import OverloadedError
from ragmesh.core.questions import Question
from tools.bench.loads import Latencies, Served, crowd, latencies, serve
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.texts import documents
from tools.quickstart import running_mesh

CHUNKS = 10_000
USERS = 100
READING_SECONDS = 2.0
SECONDS = 30.0
REPEATED = 0.85
KNOWN = 50
LIMIT_QUESTIONS = 600
LIMIT_AT_ONCE = 32
MOST_SECONDS = 0.200
MOST_HIT_SECONDS = 0.008_45
COLLECTION = "pages"
_SENTENCES = 300
_BATCH = 20
Ask = Callable[[Question], Awaitable[Answer]]

ABOUT = f"""\
`Ask` over gRPC on one process with {CHUNKS:,} chunks, answered by the extractive engine. {USERS}
users ask at chance moments and read for {READING_SECONDS:g} s, so {USERS / READING_SECONDS:g}
questions a second arrive by schedule for {SECONDS:g} s: once each of them new, once {REPEATED:.0%}
of them among {KNOWN} that were asked before. Latencies count from the scheduled moment. The limit
is how many a second are answered when {LIMIT_AT_ONCE} ask without a pause, and after a refusal
again when it says so, {LIMIT_QUESTIONS} of each kind."""


@dataclass(frozen=True, slots=True)
class Load:
    """One of the two loads."""

    served: list[Served]
    limit: float
    """Answers a second when as many as possible are asked for."""

    @property
    def all(self) -> Latencies:
        """How long everything took."""
        return latencies(self.served)

    @property
    def hits(self) -> list[Served]:
        """What came from the cache."""
        return [one for one in self.served if isinstance(one.result, Answer) and one.result.cached]


async def measure_users(_folder: Path | None) -> Table:
    """First nothing is asked twice, then most is."""
    async with _filled() as (client, texts):
        asked = _questions(texts)

        async def ask(question: Question) -> Answer:
            return await client.ask(AskQuery(COLLECTION, question))

        for question in itertools.islice(asked, KNOWN):
            await ask(question)  # warm
        new = await _load(ask, asked)
        repeated = await _load(ask, _mixed(await _answered(ask, asked), asked))
    return _table(new, repeated)


async def _answered(ask: Ask, asked: Iterator[Question]) -> list[Question]:
    """Questions that have an answer in the cache now; what has none in the documents never has."""
    known: list[Question] = []
    while len(known) < KNOWN:
        question = next(asked)
        if (await ask(question)).status is AnswerStatus.ANSWERED:
            known.append(question)
    return known


async def _load(ask: Ask, questions: Iterator[Question]) -> Load:
    async def next_one() -> Answer:
        return await ask(next(questions))

    async def patient_one() -> Answer:
        while True:
            try:
                return await next_one()
            except OverloadedError as error:
                await asyncio.sleep(error.retry_after_seconds or 0.0)

    served = await serve(next_one, list(_moments()))
    begun = time.perf_counter()
    await crowd(patient_one, LIMIT_QUESTIONS, at_once=LIMIT_AT_ONCE)
    asked = LIMIT_QUESTIONS // LIMIT_AT_ONCE * LIMIT_AT_ONCE
    return Load(served, asked / (time.perf_counter() - begun))


def _moments() -> Iterator[float]:
    """When the users ask: each on their own, so the gaps between them are left to chance."""
    chance, moment = Random(1), 0.0
    while (moment := moment + chance.expovariate(USERS / READING_SECONDS)) < SECONDS:
        yield moment


def _mixed(known: Sequence[Question], new: Iterator[Question]) -> Iterator[Question]:
    chance = Random(2)
    while True:
        yield chance.choice(known) if chance.random() < REPEATED else next(new)


def _questions(texts: Sequence[str]) -> Iterator[Question]:
    """Questions in the words of the documents, without end and no two alike."""
    chance = Random(3)
    for number in itertools.count():
        sentence = chance.choice(chance.choice(texts).split(". "))
        yield Question.parse(f"What about case {number}: {' '.join(sentence.split()[:12])}?")


@asynccontextmanager
async def _filled() -> AsyncIterator[tuple[GatewayClient, list[str]]]:
    """A mesh with its chunks, and some of the texts they are of."""
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder, running_mesh(folder) as address:
        async with gateway_client(address) as client:
            await client.create_collection(NewCollection(COLLECTION))
            source = documents(None, sentences=_SENTENCES, seed=7)
            texts: list[str] = []
            for batch in itertools.count():
                new = list(itertools.islice(source, _BATCH))
                texts += new
                uploads = [
                    Upload(text.encode(), f"d{batch}-{place}", content_type="text/markdown")
                    for place, text in enumerate(new)
                ]
                await asyncio.gather(*(_index(client, one) for one in uploads))
                if (await client.get_collection(COLLECTION)).chunks >= CHUNKS:
                    break
            yield client, texts


async def _index(client: GatewayClient, upload: Upload) -> None:
    accepted = await client.create_document(COLLECTION, upload)
    async for job in client.watch_job(accepted.job_id):
        if job.error is not None:
            raise SystemExit(f"a document was not indexed, the run is void: {job.error}")


def _table(new: Load, repeated: Load) -> Table:
    p95, p95_new = repeated.all.quantile(0.95), new.all.quantile(0.95)
    hit = latencies(repeated.hits).quantile(0.5)
    share = len(repeated.hits) / len(repeated.served)
    failed = new.all.failed + repeated.all.failed
    goals = (
        Goal("p95, nothing repeated", NOT_SAID, "≤ 200 ms", p95_new <= MOST_SECONDS, _ms(p95_new)),
        Goal("p95, most repeated", _ms(p95), "≤ 200 ms", p95 <= MOST_SECONDS, NOT_SAID),
        Goal("p50", _ms(repeated.all.quantile(0.5)), NOT_SAID, None, _ms(new.all.quantile(0.5))),
        Goal("a hit, p50", _ms(hit), "≤ 8.45 ms", hit <= MOST_HIT_SECONDS, NOT_SAID),
        Goal("hits", f"{share:.0%}", NOT_SAID, None, f"{len(new.hits)}"),
        Goal("failed", f"{failed}", "0", not failed, NOT_SAID),
        Goal(
            "limit, answers a second", f"{repeated.limit:.0f}", NOT_SAID, None, f"{new.limit:.0f}"
        ),
    )
    return Table("L1: a hundred users", ABOUT, goals, beside="nothing repeated")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"
