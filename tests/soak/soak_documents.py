"""`make soak-documents`: big inputs into one mesh while it is asked, onto a page.

Sizes are arguments: the whole takes hours on a small machine, nearly all of them for embedding.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ragmesh.chassis.executors import run
from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import JobState, NewCollection, Upload
from ragmesh.core.errors import Kind, RagmeshError
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from tests.faults.rounds import children_of, started
from tests.unit.indexing.parser.samples import pdf
from tools.bench.page import circumstances
from tools.bench.texts import documents

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "documents.md"
COLLECTION = "big"
MOST_RSS = 1_500_000_000
MOST_ADDED_MS = 60.0
AT_ONCE = 16
A_SECOND = 4.0
IDLE_SECONDS = 15.0
PAGE_LINES = 40
FILE_BYTES = 4_000_000
SMALL_SENTENCES = 3
_PAUSE_SECONDS = 0.25
_WAIT_SECONDS = 0.5
ABOUT = f"""\
one input after the other into one collection of a mesh in one process, {AT_ONCE} uploads at once,
while {A_SECOND:g} searches a second come by schedule. Memory is the resident size of the mesh and
of all its parser processes together. How long the embedding of a search's question takes is
compared with what it takes while nothing else is done."""
_LATIN = re.compile(r"[^ -~]|[()\\]")


@dataclass(slots=True)
class Watch:
    """Memory of all processes and latencies of questions, as they come."""

    peak_bytes: int = 0
    embed_ms: list[float] = field(default_factory=list)
    search_ms: list[float] = field(default_factory=list)
    failed: int = 0

    def p95(self, taken: Sequence[float]) -> float:
        """95 % were no slower."""
        return statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else 0.0


@dataclass(slots=True)
class Part:
    """One big input and what it came to."""

    name: str
    uploads: int = 0
    chunks: int = 0
    failed: int = 0
    seconds: float = 0.0
    watch: Watch = field(default_factory=Watch)


async def soak(sizes: argparse.Namespace, folder: Path) -> tuple[Watch, list[Part]]:
    """Everything into one mesh, one after the other; first nothing, to compare with."""
    inputs = {
        name: make(size)
        for name, make, size in (
            (f"a PDF of {sizes.pages:,} pages", big_pdf, sizes.pages),
            (f"texts of {sizes.megabytes:,} MB", big_texts, sizes.megabytes),
            (f"{sizes.documents:,} small documents", small_texts, sizes.documents),
        )
        if size
    }
    parts: list[Part] = []
    async with started(folder / "data") as mesh, gateway_client(mesh.grpc) as client:
        await client.create_collection(NewCollection(COLLECTION))
        await client.create_document(COLLECTION, Upload(b"Seven brass lanterns.", "anchor"))
        await _idle(client)
        async with watched(client, mesh.pids[0]) as idle:
            await asyncio.sleep(IDLE_SECONDS)
        for name, uploads in inputs.items():
            part = Part(name)
            begun, before = time.monotonic(), (await client.get_collection(COLLECTION)).chunks
            async with watched(client, mesh.pids[0]) as part.watch:
                part.uploads = await _send(client, uploads)
                await _idle(client)
            part.seconds = time.monotonic() - begun
            part.chunks = (await client.get_collection(COLLECTION)).chunks - before
            failed = await client.list_jobs(state=JobState.FAILED, page=PageRequest(1_000))
            part.failed = len(failed.items) - sum(one.failed for one in parts)
            parts.append(part)
            print(part.name, f"{part.seconds:.0f} s, {part.chunks} chunks", flush=True)
        if mesh.stop() != 0:
            raise SystemExit(mesh.log[-3_000:])
    return idle, parts


def big_pdf(pages: int) -> Iterator[Upload]:
    """One PDF; each page is full of sentences."""
    words = _LATIN.sub(" ", next(documents(None, sentences=pages * PAGE_LINES, seed=1))).split()
    lines = (" ".join(words[start : start + 12]) for start in range(0, len(words), 12))
    yield Upload(
        pdf([list(itertools.islice(lines, PAGE_LINES)) for _ in range(pages)]),
        "big-pdf",
        filename="big.pdf",
    )


def big_texts(megabytes: int) -> Iterator[Upload]:
    """Texts of some megabytes each."""
    texts = documents(None, sentences=200, seed=2)
    for number in range(max(1, megabytes * 1_000_000 // FILE_BYTES)):
        size, taken = 0, []
        while size < min(FILE_BYTES, megabytes * 1_000_000):
            taken.append(next(texts))
            size += len(taken[-1])
        yield Upload("\n".join(taken).encode(), f"text-{number}", content_type="text/plain")


def small_texts(count: int) -> Iterator[Upload]:
    """Documents of some sentences."""
    texts = documents(None, sentences=SMALL_SENTENCES, seed=3)
    for number in range(count):
        yield Upload(next(texts).encode(), f"small-{number}", content_type="text/plain")


async def _send(client: GatewayClient, uploads: Iterator[Upload]) -> int:
    """Upload all, some at once, again when the mesh asks to come again; how many there were."""
    sent = 0

    async def some() -> None:
        nonlocal sent
        for upload in uploads:
            while True:
                try:
                    await client.create_document(COLLECTION, upload)
                    break
                except RagmeshError as error:
                    if error.kind is not Kind.EXHAUSTED:
                        raise
                    await asyncio.sleep(error.retry_after_seconds or 1.0)
            sent += 1

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return sent


async def _idle(client: GatewayClient) -> None:
    """Return once no job waits or runs."""
    for state in (JobState.QUEUED, JobState.RUNNING):
        while True:
            page = await client.list_jobs(state=state, page=PageRequest(1))
            if not page.items:
                break
            await asyncio.sleep(_WAIT_SECONDS)


@asynccontextmanager
async def watched(client: GatewayClient, pid: int) -> AsyncIterator[Watch]:
    """Memory and questions are watched for the time of the block."""
    watch = Watch()
    async with asyncio.TaskGroup() as group:
        work = (_ask(client, watch, group), _weigh(pid, watch))
        tasks = [group.create_task(one) for one in work]
        yield watch
        for task in tasks:
            task.cancel()


async def _ask(client: GatewayClient, watch: Watch, group: asyncio.TaskGroup) -> None:
    """Searches by schedule, whether or not earlier ones have been answered."""

    async def one(number: int) -> None:
        question = Question.parse(f"Which part answers question {number} of a user?")
        begun = time.monotonic()
        try:
            found = await client.search(SearchQuery(COLLECTION, question))
        except RagmeshError:
            watch.failed += 1
            return
        watch.search_ms.append(1e3 * (time.monotonic() - begun))
        watch.embed_ms.append(dict(found.timings_ms)["retrieve.embed"])

    # Never a question that was asked before: its vector would come from the cache.
    for number in itertools.count(time.monotonic_ns()):
        group.create_task(one(number))
        await asyncio.sleep(1 / A_SECOND)


async def _weigh(pid: int, watch: Watch) -> None:
    while True:
        sizes = [resident_bytes(one) for one in (pid, *children_of(pid))]
        watch.peak_bytes = max(watch.peak_bytes, sum(sizes))
        await asyncio.sleep(_PAUSE_SECONDS)


def resident_bytes(pid: int) -> int:
    """What a process holds of the memory; 0 when it has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def write(idle: Watch, parts: Sequence[Part], command: str) -> None:
    """Replace the page."""
    alone = idle.p95(idle.embed_ms)
    limit = max(2 * alone, alone + MOST_ADDED_MS)
    lines = [
        "# Big inputs",
        "",
        f"Written by `{command}`:",
        ABOUT,
        f"A question alone: {alone:.0f} ms (p95).",
        "",
        *circumstances(),
        "",
        "| input | files | failed | chunks | time | chunks a second | most memory | goal "
        "| embedding of a question, p95 | goal | search, p95 | searches that failed |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {part.name} | {part.uploads:,} | {part.failed:,} | {part.chunks:,} "
        f"| {part.seconds:,.0f} s | {part.chunks / part.seconds:.0f} "
        f"| {part.watch.peak_bytes / 1e9:.2f} GB | ≤ {MOST_RSS / 1e9:.1f} GB "
        f"| {part.watch.p95(part.watch.embed_ms):.0f} ms | ≤ {limit:.0f} ms "
        f"| {part.watch.p95(part.watch.search_ms):.0f} ms "
        f"| {part.watch.failed} of {part.watch.failed + len(part.watch.embed_ms)} |"
        for part in parts
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """1 when memory was not enough or something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--documents", type=int, default=100_000)
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ragmesh-big-") as folder:
        idle, parts = run(soak(sizes, Path(folder)))
    told = f"PAGES={sizes.pages} MEGABYTES={sizes.megabytes} DOCUMENTS={sizes.documents}"
    write(idle, parts, f"make soak-documents {told}")
    bad = [
        part.name
        for part in parts
        if part.failed or part.watch.failed or part.watch.peak_bytes > MOST_RSS
    ]
    print(*bad, sep="\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
