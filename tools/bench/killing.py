"""S3: kill -9 of a writer on a large index: nothing is lost or half there, and it opens quickly."""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ragmesh.core.index import IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex, embedded_index
from ragmesh.retrieval.adapters.spec_text import decode_spec, encode_spec
from tools.bench.chunks import CHUNKS_A_DOCUMENT, Writer, fill, search, spec_of_index
from tools.bench.page import NOT_SAID, ROOT, Goal, Table

KILLS = 20
CHUNKS = 100_000
MOST_DOCUMENTS = 12
OPEN_SECONDS = 1.0

ABOUT = f"""\
A process writes documents of {CHUNKS_A_DOCUMENT} chunks into an embedded index of {CHUNKS:,}
chunks and tells of each that is kept; after some of them it gets kill -9, {KILLS} times. Then
the index is opened until the first search is answered, and every document is looked at: it must
be there if it was told of, have all its chunks, and the keyword index must fit without being
built anew."""


@dataclass(slots=True)
class Damage:
    """What the kills left."""

    opens: list[float] = field(default_factory=list)
    kept: int = 0
    lost: int = 0
    partial: int = 0
    unfit: int = 0


async def measure_kills(_folder: Path | None) -> Table:
    """Fill once, then kill and look in turns."""
    damage, chance = Damage(), Random(1)
    complaints = _Complaints()
    logging.getLogger("ragmesh.retrieval").addHandler(complaints)
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        root, spec = Path(folder), spec_of_index()
        async with embedded_index(root) as index:
            await index.create(spec)
            writer = Writer(index, spec)
            rate = await fill(writer, CHUNKS)
        told = writer.next_number
        for _ in range(KILLS):
            told = await _killed(root, spec, told, chance.randrange(1, MOST_DOCUMENTS))
            begun = time.perf_counter()
            async with embedded_index(root) as index:
                await search(index, spec, writer.vector(), "which service answers a question")
                damage.opens.append(time.perf_counter() - begun)
                told = await _look(index, spec, told, damage)
    damage.unfit = complaints.count
    return _table(damage, rate)


async def _killed(root: Path, spec: IndexSpec, first: int, documents: int) -> int:
    """How many documents there are that a writer told of before it was killed."""
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.bench.killing", str(root), encode_spec(spec), str(first)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    if writer.stdout is None:
        raise SystemExit("the writer says nothing")
    told = first
    for _ in range(documents):
        told = int(await writer.stdout.readline())
    writer.kill()
    rest, _ = await writer.communicate()
    return int(rest.split()[-1]) if rest.split() else told


async def _look(index: EmbeddedIndex, spec: IndexSpec, told: int, damage: Damage) -> int:
    """Judge what is kept; the number that the next document has."""
    kept: dict[str, int] = {}
    page = PageRequest(1_000)
    while True:
        found = await index.list_digests(spec.index_version_uid, page)
        kept |= {one.document_uid: one.chunk_count for one in found.items}
        if not found.next_token:
            break
        page = PageRequest(1_000, found.next_token)
    damage.kept = len(kept)
    damage.lost += sum(f"d{number:08}" not in kept for number in range(told))
    damage.partial += sum(count != CHUNKS_A_DOCUMENT for count in kept.values())
    return len(kept)


def _table(damage: Damage, rate: float) -> Table:
    slowest = max(damage.opens)
    goals = (
        Goal("lost documents", str(damage.lost), "0", not damage.lost, NOT_SAID),
        Goal(
            "documents without all chunks", str(damage.partial), "0", not damage.partial, NOT_SAID
        ),
        Goal("keyword index built anew", str(damage.unfit), "0", not damage.unfit, NOT_SAID),
        Goal("opened, slowest", f"{slowest:.2f} s", "≤ 1 s", slowest <= OPEN_SECONDS, NOT_SAID),
        Goal("opened, p50", f"{statistics.median(damage.opens):.2f} s", NOT_SAID, None, NOT_SAID),
        Goal("documents at the end", f"{damage.kept:,}", NOT_SAID, None, NOT_SAID),
        Goal("chunks written a second", f"{rate:,.0f}", NOT_SAID, None, NOT_SAID),
    )
    return Table("S3: kills of a writer", ABOUT, goals, beside="beside")


class _Complaints(logging.Handler):
    """Counts what the index warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - the handler's signature
        self.count += 1


async def _write_for_ever(root: Path, spec: IndexSpec, first: int) -> None:
    async with embedded_index(root) as index:
        writer = Writer(index, spec, seed=1, next_number=first)
        while True:
            await writer.write()
            print(writer.next_number, flush=True)


if __name__ == "__main__":
    asyncio.run(_write_for_ever(Path(sys.argv[1]), decode_spec(sys.argv[2]), int(sys.argv[3])))
