"""S1, S2, S5 and H3: the embedded index beside LanceDB, on the same chunks and questions."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import usable_cores
from ragmesh.core.vectors import Vector
from ragmesh.embedding.adapters.export import locate_wheel_model
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService
from ragmesh.embedding.settings import EmbeddingSettings
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.testing.embedding import NullVectorCache
from tools.bench.chunks import DIMENSION
from tools.bench.corpus import Corpus, Floats, fill, made, spec_like
from tools.bench.hybrid import LIMIT, Ours
from tools.bench.loads import Latencies, bursts, one_by_one
from tools.bench.page import NOT_SAID, ROOT, Goal, Table
from tools.bench.rivals import Rival, environment, rival

CHUNKS = 100_000
ROUNDS = 5
ALONE, BURSTS, AT_ONCE, EVERY_SECONDS = 100, 12, 8, 0.5
RECALLS, OPENS = 50, 3
LABELS = {"": "no filter", "wide": "21 %", "narrow": "0.4 %", "few": "0.01 %"}

ABOUT = f"""\
{CHUNKS:,} chunks, vectors of {DIMENSION} numbers around 1,000 centres, texts of this project's
sentences. A search is hybrid: the ten best by meaning and by words, with their texts. LanceDB has
an IVF_HNSW_SQ, a full-text and three bitmap indexes as they come, and its own fusion. {ROUNDS}
rounds in turns: {ALONE} searches one by one, then {AT_ONCE} at once every {EVERY_SECONDS:g} s,
{BURSTS} times, each counted from the moment of its schedule. Ratios are the medians of those of
the rounds. Recall is that of the ten most alike, {RECALLS} questions, by comparing with all
chunks that pass the filter. Opening is a process of its own that has imported what it needs, from
before it opens to its first answer with texts, {OPENS} of each in turns: on both sides the vectors
of the question are ready and no encoder is loaded; here the published heads of all documents are
handed over and heard within that time, which the other side knows nothing of. Question to text is
an embedding and a search, one by one, on the other side by sentence-transformers on the same
weights."""


@dataclass(slots=True)
class Rounds:
    """Latencies of each round, on both sides."""

    ours: list[Latencies] = field(default_factory=list)
    theirs: list[Latencies] = field(default_factory=list)

    def goal(self, name: str, share: float, most: float | None) -> Goal:
        """A quantile, and how many times the other side's it is."""
        pairs = [
            (ours.quantile(share), theirs.quantile(share))
            for ours, theirs in zip(self.ours, self.theirs, strict=True)
        ]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        return Goal(
            name,
            f"{1e3 * ours:.1f} ms, {ratio:.2f} x",
            NOT_SAID if most is None else f"≤ {most:g} x",
            None if most is None else ratio <= most,
            f"{1e3 * theirs:.1f} ms",
        )


async def measure_search(_folder: Path | None) -> Table:
    """All four, on one corpus."""
    with _folders() as (index_folder, corpus_folder, table_folder):
        corpus = made(CHUNKS)
        corpus.save(corpus_folder)
        goals: list[Goal] = []
        async with embedded_index(index_folder) as index, _embedder() as embedder:
            (encoder,) = await embedder.list_encoders()
            spec = spec_like(encoder.fingerprint, encoder.name)
            await index.create(spec)
            await fill(index, spec, corpus)
            ours = Ours(index, spec.index_version_uid, corpus.questions, corpus.words)
            with rival(
                "lancedb",
                "lance_side.py",
                table_folder,
                corpus_folder,
                beside=("sentence-transformers",),
            ) as theirs:
                goals += await _latencies(ours, theirs)
                goals += await _recalls(ours, theirs, corpus)
                goals += await _from_questions(ours, theirs, embedder)
        goals += _openings(index_folder, corpus_folder, table_folder)
    return Table("S1, S2, S5, H3: search", ABOUT, tuple(goals), beside="LanceDB")


@contextmanager
def _folders() -> Iterator[tuple[Path, Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        paths = [Path(folder, name) for name in ("index", "corpus", "table")]
        for path in paths:
            path.mkdir()
        yield paths[0], paths[1], paths[2]


async def _latencies(ours: Ours, theirs: Rival) -> list[Goal]:
    alone, crowd = Rounds(), Rounds()
    numbers = iter(range(10**9))
    for number in range(ROUNDS):
        alone.ours.append(await one_by_one(lambda: ours.hybrid(next(numbers)), ALONE))
        alone.theirs.append(_told(theirs, "one_by_one", first=number * ALONE, count=ALONE))
        crowd.ours.append(
            await bursts(
                lambda: ours.hybrid(next(numbers)),
                count=BURSTS,
                at_once=AT_ONCE,
                every_seconds=EVERY_SECONDS,
            )
        )
        crowd.theirs.append(
            _told(
                theirs,
                "bursts",
                first=number,
                count=BURSTS,
                at_once=AT_ONCE,
                every=EVERY_SECONDS,
            )
        )
    return [
        alone.goal("S1: a search, p50", 0.5, 0.6),
        alone.goal("S1: a search, p95", 0.95, 0.6),
        crowd.goal(f"S1: {AT_ONCE} at once, p50", 0.5, 0.6),
        crowd.goal(f"S1: {AT_ONCE} at once, p95", 0.95, 0.6),
    ]


async def _recalls(ours: Ours, theirs: Rival, corpus: Corpus) -> list[Goal]:
    goals = []
    for label, kept in LABELS.items():
        found = theirs.ask(do="nearest", count=RECALLS, label=label)["answer"]
        sides = ([await ours.nearest(number, label) for number in range(RECALLS)], found)
        wanted = [corpus.nearest(number, label, LIMIT) for number in range(RECALLS)]
        recall, beside = (
            statistics.fmean(
                len(want.intersection(got)) / len(want)
                for want, got in zip(wanted, side, strict=True)
            )
            for side in sides
        )
        goals.append(
            Goal(
                f"S2: recall@{LIMIT}, {kept}",
                f"{recall:.3f}",
                "≥ .99",
                recall >= 0.99,
                f"{beside:.3f}",
            )
        )
    return goals


async def _from_questions(ours: Ours, theirs: Rival, embedder: EmbeddingService) -> list[Goal]:
    rounds = Rounds()
    model, threads = str(locate_wheel_model()), usable_cores()
    numbers = iter(range(10**9))

    async def ask() -> None:
        words = ours.words[next(numbers) % len(ours.words)]
        found = await embedder.embed_texts([words], encoder="")
        await ours.found(_floats(found.vectors[0]), words)

    for number in range(ROUNDS):
        rounds.ours.append(await one_by_one(ask, ALONE))
        rounds.theirs.append(
            _told(
                theirs, "embedded", path=model, first=number * ALONE, count=ALONE, threads=threads
            )
        )
    return [rounds.goal("H3: question to text, p50", 0.5, 0.5)]


def _openings(index_folder: Path, corpus_folder: Path, table_folder: Path) -> list[Goal]:
    python = environment("lancedb") / "bin" / "python"
    side = ROOT / "tools/bench/rivals/lance_side.py"
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(OPENS):
        ours.append(
            _opened([sys.executable, "-m", "tools.bench.opening"], index_folder, corpus_folder)
        )
        theirs.append(_opened([str(python), str(side)], table_folder, corpus_folder, "open"))

    def medians(what: str) -> tuple[float, float]:
        one, other = (statistics.median(run[what] for run in side) for side in (ours, theirs))
        return one, other

    return [
        _share("S5: from opening to the first answer", medians("seconds"), 0.5, "s"),
        _share("S5: memory after it", medians("mebibytes"), 0.8, "MiB"),
    ]


def _share(name: str, sides: tuple[float, float], most: float, unit: str) -> Goal:
    one, other = sides
    ratio = one / other
    return Goal(
        name,
        f"{one:.3g} {unit}, {ratio:.2f} x",
        f"≤ {most:g} x",
        ratio <= most,
        f"{other:.3g} {unit}",
    )


def _opened(command: Sequence[str], *arguments: object) -> dict[str, float]:
    ran = subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    said: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return said


@asynccontextmanager
async def _embedder() -> AsyncIterator[EmbeddingService]:
    """The default encoder without a cache."""
    settings = EmbeddingSettings()
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as probes:
        async with open_encoders(settings, probes=Path(probes), clock=SystemClock()) as encoders:
            yield EmbeddingService(
                encoders, cache=NullVectorCache(), clock=SystemClock(), limits=settings.limits
            )


def _told(theirs: Rival, do: str, **how: object) -> Latencies:
    return Latencies(tuple(sorted(theirs.ask(do=do, **how)["answer"])))


def _floats(vector: Vector) -> Floats:
    return np.frombuffer(vector.values, "<f4")
