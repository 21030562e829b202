"""I1 and I4: how fast documents become searchable, and what the same ones cost once more."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import JobState, NewCollection, Upload
from ragmesh.core.pages import PageRequest
from ragmesh.core.reading import ChunkPlan, SourceFile
from ragmesh.core.vectors import Passage
from ragmesh.embedding.service import EmbeddingService
from ragmesh.indexing.adapters.parser_pool import ParserPool
from tools.bench.lanes import open_embedder
from tools.bench.page import NOT_SAID, Goal, Table
from tools.bench.texts import documents
from tools.quickstart import running_mesh

ROUNDS = 5
DOCUMENTS = 24
SENTENCES = 60
BATCH = 128
AT_ONCE = 2
LEAST_SHARE = 0.85
MOST_SHARE = 0.05
COLLECTION = "ingest"

ABOUT_INGEST = f"""\
{DOCUMENTS} new documents of {SENTENCES} sentences (or of the folder that was given) are sent
over gRPC at once to a mesh in one process, and counted until the last job has ended. Beside it
the same chunks, made by the same parsers before, are embedded by the same encoder in another
process, {BATCH} at a time and {AT_ONCE} callers at once, while the mesh rests. {ROUNDS} rounds
in turns; the share is the median of the rounds."""
ABOUT_AGAIN = f"""\
{ROUNDS} times {DOCUMENTS} documents are sent until all are indexed, and then the same ones
again. Medians of the rounds. A document that was embedded again would have a job of its own."""


@dataclass(slots=True)
class Rounds:
    """Seconds of each round of both sides, and how many chunks it was about."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)


async def measure_ingest(folder: Path | None) -> Table:
    """The mesh and the encoder alone in turns, on texts that neither has seen."""
    rounds = Rounds()
    async with _mesh() as client, open_embedder() as embedder, ParserPool() as parsers:
        for number in range(ROUNDS + 1):
            texts = _texts(folder, number)
            passages = await _passages(parsers, embedder, texts)
            ours = await _ingest(client, _uploads(texts, number))
            begun = time.perf_counter()
            await _embed(embedder, passages)
            if number:  # the first warms both up
                rounds.ours.append(ours)
                rounds.bare.append(time.perf_counter() - begun)
                rounds.chunks.append(len(passages))
    share = statistics.median(b / a for a, b in zip(rounds.ours, rounds.bare, strict=True))
    goals = (
        Goal("share of embedding alone", f"{share:.2f}", "≥ 0.85", share >= LEAST_SHARE, "1"),
        Goal(
            "chunks a second",
            _rate(rounds, rounds.ours),
            NOT_SAID,
            None,
            _rate(rounds, rounds.bare),
        ),
        Goal("chunks a round", f"{statistics.median(rounds.chunks):.0f}", NOT_SAID, None, NOT_SAID),
    )
    return Table("I1: ingest", ABOUT_INGEST, goals, beside="embedding alone")


async def measure_again(folder: Path | None) -> Table:
    """Each round sends new documents, and then the same again."""
    first: list[float] = []
    again: list[float] = []
    jobs = 0
    async with _mesh() as client:
        for number in range(ROUNDS):
            uploads = _uploads(_texts(folder, number), number)
            first.append(await _ingest(client, uploads))
            before = await _jobs(client)
            again.append(await _ingest(client, uploads))
            jobs += await _jobs(client) - before
    share = statistics.median(b / a for a, b in zip(first, again, strict=True))
    goals = (
        Goal("embedded again", str(jobs), "0", not jobs, NOT_SAID),
        Goal("time, share of the first", f"{share:.3f}", "≤ 0.05", share <= MOST_SHARE, "1"),
        Goal(
            "seconds",
            f"{statistics.median(again):.2f}",
            NOT_SAID,
            None,
            f"{statistics.median(first):.2f}",
        ),
    )
    return Table("I4: the same once more", ABOUT_AGAIN, goals, beside="first time")


@asynccontextmanager
async def _mesh() -> AsyncIterator[GatewayClient]:
    """A mesh with an empty collection."""
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder, running_mesh(folder) as address:
        async with gateway_client(address) as client:
            await client.create_collection(NewCollection(COLLECTION))
            yield client


def _texts(folder: Path | None, number: int) -> list[str]:
    found = documents(folder, sentences=SENTENCES, seed=number)
    return list(itertools.islice(found, DOCUMENTS))


def _uploads(texts: Sequence[str], number: int) -> list[Upload]:
    return [
        Upload(text.encode(), f"d{number}-{place}", content_type="text/markdown")
        for place, text in enumerate(texts)
    ]


async def _ingest(client: GatewayClient, uploads: Sequence[Upload]) -> float:
    """Seconds until every one is searchable."""
    begun = time.perf_counter()
    await asyncio.gather(*(_followed(client, upload) for upload in uploads))
    taken = time.perf_counter() - begun
    failed = await client.list_jobs(state=JobState.FAILED, page=PageRequest(1))
    if failed.items:
        raise SystemExit(f"a document was not indexed, the run is void: {failed.items[0].error}")
    return taken


async def _followed(client: GatewayClient, upload: Upload) -> None:
    """Send the upload, and return once its job has ended."""
    accepted = await client.create_document(COLLECTION, upload)
    async for _ in client.watch_job(accepted.job_id):
        pass


async def _jobs(client: GatewayClient) -> int:
    """How many jobs there are."""
    page = await client.list_jobs(page=PageRequest(1_000))
    return len(page.items)


async def _passages(
    parsers: ParserPool, embedder: EmbeddingService, texts: Sequence[str]
) -> list[Passage]:
    """The chunks that the mesh makes of the texts."""
    (encoder, *_) = await embedder.list_encoders()
    plan = ChunkPlan(await embedder.get_tokenizer(), encoder.content_tokens)
    found: list[Passage] = []
    for text in texts:
        read = await parsers.read(SourceFile(text.encode(), content_type="text/markdown"), plan)
        found += [Passage(draft.text, draft.sentences) for draft in read.chunks]
    return found


async def _embed(embedder: EmbeddingService, passages: Sequence[Passage]) -> None:
    batches = [passages[start : start + BATCH] for start in range(0, len(passages), BATCH)]
    waiting = iter(batches)

    async def some() -> None:
        for batch in waiting:
            await embedder.embed_passages(batch)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def _rate(rounds: Rounds, seconds: Sequence[float]) -> str:
    rates = (chunks / taken for chunks, taken in zip(rounds.chunks, seconds, strict=True))
    return f"{statistics.median(rates):.0f}"
