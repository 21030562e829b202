"""E1 to E5: encoders beside sentence-transformers on the same weights and the same cores."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.executors import usable_cores
from ragmesh.core.vectors import Lane
from ragmesh.embedding.adapters.export import locate_wheel_model
from ragmesh.embedding.adapters.onnx import BULK_NICENESS
from ragmesh.embedding.adapters.opening import open_encoders
from ragmesh.embedding.service import EmbeddingService
from ragmesh.embedding.settings import (
    MINILM,
    EmbeddingSettings,
    EncoderKind,
    EncoderSettings,
    default_model_folder,
)
from ragmesh.testing.embedding import NullVectorCache
from tools.bench.loads import timed
from tools.bench.page import NOT_SAID, ROOT, Goal, Table
from tools.bench.rivals import Rival, environment, rival
from tools.bench.texts import documents

Floats = npt.NDArray[np.float32]
ROUNDS = 5
SHORT, CHUNKS, MIXED, QUERIES = 192, 24, 64, 30
FAST = "fast"
_WORDS_A_CHUNK = 200
_TORCH_FOR_GPUS = ("nvidia", "triton", "cuda", "libtorch_cuda", "libc10_cuda", "libcaffe2_nvrtc")

ABOUT = f"""\
The same texts are embedded by the service (bulk lane, no cache) and by sentence-transformers in
fp32 with its batches of 32, on as many threads of the same priority, in turns; figures are the
medians of {ROUNDS} rounds, ratios are of the same round. E1: {SHORT} sentences. E2: {CHUNKS}
chunks of {_WORDS_A_CHUNK} words; nDCG@10 of finding the chunk that a sentence was taken out of. E3:
one question at a time; from the start of a process to its first vector; size of what is installed
for it with the weights, torch without its parts for GPUs. E4: each text alone and beside the
others. E5: {MIXED} texts of 3 to 122 words and three over the window; the other side takes them in
batches of 32 as they come."""


@dataclass(slots=True)
class Seconds:
    """What each round took, on both sides."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as long the other side took, the median of the rounds."""
        return statistics.median(
            theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides, ready."""

    embedder: EmbeddingService
    rival: Rival
    vectors: Path
    """Where the rival leaves its vectors."""

    async def ours(self, texts: Sequence[str], encoder: str = "") -> Floats:
        """Vectors of the service."""
        found = await self.embedder.embed_texts(texts, encoder=encoder, lane=Lane.BULK)
        return np.array([np.frombuffer(vector.values, "<f4") for vector in found.vectors])

    def theirs(self, texts: Sequence[str]) -> Floats:
        """Vectors of the rival."""
        self.ask(texts)
        found: Floats = np.load(self.vectors)
        return found

    def ask(self, texts: Sequence[str], *, in_order: bool = False) -> float:
        """Seconds that the rival takes."""
        answer = self.rival.ask(texts=list(texts), batch=32, sorted=not in_order)
        return float(answer["seconds"])

    async def compare(
        self, texts: Sequence[str], encoder: str = "", *, in_order: bool = False
    ) -> Seconds:
        """Both sides in turns."""
        seconds = Seconds()
        for _ in range(ROUNDS):
            seconds.ours.append(await timed(lambda: self.ours(texts, encoder)))
            seconds.theirs.append(self.ask(texts, in_order=in_order))
        return seconds


async def measure_encoding(_folder: Path | None) -> Table:
    """All five, in one run."""
    exact, fast = EncoderSettings(), EncoderSettings(name=FAST, kind=EncoderKind.FAST)
    settings = EmbeddingSettings(encoders=(exact, fast))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ragmesh-")))
        clock = SystemClock()
        encoders = await stack.enter_async_context(
            open_encoders(settings, probes=folder, clock=clock)
        )
        service = EmbeddingService(
            encoders, cache=NullVectorCache(), clock=clock, limits=settings.limits
        )
        goals: list[Goal] = []
        with _beside(service, folder, niceness=BULK_NICENESS) as sides:
            for measure in (_short, _chunks, _alone, _mixed):
                goals += await measure(sides)
        with _beside(service, folder, niceness=0) as sides:
            goals += await _queries(sides)
            started = sides.rival
    versions = ", ".join(f"{name} {version}" for name, version in started.versions.items())
    about = f"{ABOUT}\nThe other side: {versions}."
    title = "E: encoders beside sentence-transformers"
    return Table(title, about, tuple(goals), beside="sentence-transformers")


@contextmanager
def _beside(service: EmbeddingService, folder: Path, *, niceness: int) -> Iterator[Sides]:
    """The service with the rival at the priority of the lane that it is compared with."""
    vectors = folder / "vectors.npy"
    arguments = (vectors, locate_wheel_model(), usable_cores())
    program = "sentence_transformers_side.py"
    with rival("sentence-transformers", program, *arguments, niceness=niceness) as started:
        yield Sides(service, started, vectors)


async def _short(sides: Sides) -> list[Goal]:
    texts = _sentences(SHORT)
    likeness = _least_cosine(await sides.ours(texts), sides.theirs(texts))
    seconds = await sides.compare(texts)
    return [
        _times("E1 short texts, times as fast", seconds.ratio, 2.0),
        _rate("E1 texts a second", SHORT, seconds),
        _at_least("E1 least cosine with the other side", likeness, 0.9999, digits=6),
    ]


async def _chunks(sides: Sides) -> list[Goal]:
    texts = _chunk_texts(CHUNKS)
    exact, fast = await sides.compare(texts), await sides.compare(texts, FAST)
    loss = await _found(sides, "") - await _found(sides, FAST)
    return [
        _times("E2 chunks, exact, times as fast", exact.ratio, 1.6),
        _times("E2 chunks, fast, times as fast", fast.ratio, 3.0),
        _rate("E2 chunks a second, exact", CHUNKS, exact),
        _rate("E2 chunks a second, fast", CHUNKS, fast),
        Goal("E2 nDCG@10 lost by fast", f"{loss:.4f}", "≤ 0.01", loss <= 0.01, NOT_SAID),
    ]


async def _queries(sides: Sides) -> list[Goal]:
    questions = [f"How many days of leave has colleague {number}?" for number in range(QUERIES)]
    alone = Seconds()
    for question in questions:
        alone.ours.append(await timed(lambda q=question: sides.embedder.embed_texts([q])))  # type: ignore[misc]
        alone.theirs.append(sides.ask([question]))
    cold = [await asyncio.to_thread(_first_vector_seconds) for _ in range(ROUNDS)]
    size, their_size = _our_size(), _their_size()
    ours, theirs = statistics.median(alone.ours), statistics.median(alone.theirs)
    begin, begin_theirs = statistics.median(cold), sides.rival.start_seconds
    return [
        _share("E3 one question, p50", ours, theirs, 0.4, lambda s: f"{1e3 * s:.1f} ms"),
        _share("E3 start to first vector", begin, begin_theirs, 0.1, lambda s: f"{s:.2f} s"),
        _share("E3 installed", size, their_size, 0.25, lambda s: f"{s / 1e6:.0f} MB"),
    ]


async def _alone(sides: Sides) -> list[Goal]:
    texts = [*_sentences(20), *_mixed_texts(20)]
    goals = []
    for name, encoder in (("exact", ""), ("fast", FAST)):
        together = await sides.ours(texts, encoder)
        alone = np.concatenate([await sides.ours([text], encoder) for text in texts])
        likeness = _least_cosine(together, alone)
        goals.append(
            _at_least(f"E4 alone or in a batch, {name}, least cosine", likeness, 0.99999, digits=7)
        )
    return goals


async def _mixed(sides: Sides) -> list[Goal]:
    texts = _mixed_texts(MIXED)
    over = ["word " * 300, "word " * 400, "word " * 500]
    seconds = await sides.compare([*texts, *over], in_order=True)
    found = await sides.embedder.embed_texts([*texts, *over], lane=Lane.BULK)
    told = sum(1 for cut in found.cut_tokens if cut)
    return [
        _times("E5 mixed lengths, times as fast", seconds.ratio, 2.2),
        Goal("E5 texts cut, and told so", str(told), str(len(over)), told == len(over), "0"),
    ]


async def _found(sides: Sides, encoder: str) -> float:
    """nDCG@10 of finding the chunk that a sentence was taken out of."""
    picked = [text.split(". ") for text in itertools.islice(_texts(12, seed=7), 150)]
    queries = [sentences[len(sentences) // 2] for sentences in picked]
    chunks = [
        ". ".join(sentence for sentence in sentences if sentence != query)
        for sentences, query in zip(picked, queries, strict=True)
    ]
    matrix, asked = await sides.ours(chunks, encoder), await sides.ours(queries, encoder)
    scores = asked @ matrix.T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
    return float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0).mean())


def _first_vector_seconds() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tools.bench.first_vector"], check=True, cwd=ROOT)
    return time.perf_counter() - begun


def _our_size() -> int:
    """Bytes of what embedding with local weights imports, and of the weights."""
    names = {"onnxruntime", "tokenizers", "numpy"}
    folder = default_model_folder(MINILM)
    return _installed(map(distribution, names)) + _bytes_below(folder)


def _their_size() -> int:
    (packages,) = (environment("sentence-transformers") / "lib").glob("python*/site-packages")
    beside = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    total = 0
    for path in packages.rglob("*"):
        within = path.relative_to(packages).parts
        if within[0].startswith((*beside, *_TORCH_FOR_GPUS)) or path.is_dir():
            continue
        if not path.name.startswith(_TORCH_FOR_GPUS):
            total += path.stat().st_size
    return total + _bytes_below(locate_wheel_model())


def _installed(packages: Iterable[Distribution]) -> int:
    return sum(
        Path(str(file.locate())).stat().st_size
        for package in packages
        for file in package.files or ()
        if Path(str(file.locate())).is_file()
    )


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _texts(sentences: int, *, seed: int) -> Iterable[str]:
    return (" ".join(text.split()[3:]) for text in documents(None, sentences=sentences, seed=seed))


def _sentences(count: int) -> list[str]:
    return list(itertools.islice(_texts(1, seed=1), count))


def _chunk_texts(count: int) -> list[str]:
    words = " ".join(itertools.islice(_texts(60, seed=2), 60)).split()
    starts = range(0, count * _WORDS_A_CHUNK, _WORDS_A_CHUNK)
    # 200 words of these pages are more tokens than the window holds; both sides cut alike.
    return [" ".join(words[start : start + _WORDS_A_CHUNK]) for start in starts]


def _mixed_texts(count: int) -> list[str]:
    words = " ".join(itertools.islice(_texts(60, seed=3), 10)).split()
    lengths = [3 + number * 37 % 120 for number in range(count)]
    return [" ".join(words[number : number + length]) for number, length in enumerate(lengths)]


def _least_cosine(one: Floats, other: Floats) -> float:
    return float(np.einsum("ij,ij->i", one, other).min())


def _times(name: str, measured: float, wanted: float) -> Goal:
    return Goal(name, f"{measured:.2f}", f"≥ {wanted:.1f}", measured >= wanted, "1")


def _at_least(name: str, measured: float, wanted: float, *, digits: int) -> Goal:
    return Goal(name, f"{measured:.{digits}f}", f"≥ {wanted}", measured >= wanted, NOT_SAID)


def _rate(name: str, texts: int, seconds: Seconds) -> Goal:
    ours, theirs = statistics.median(seconds.ours), statistics.median(seconds.theirs)
    return Goal(name, f"{texts / ours:.0f}", NOT_SAID, None, f"{texts / theirs:.0f}")


def _share(
    name: str, ours: float, theirs: float, most: float, shown: Callable[[float], str]
) -> Goal:
    share = ours / theirs
    goal = f"≤ {most} of the other"
    return Goal(name, f"{shown(ours)} ({share:.2f})", goal, share <= most, shown(theirs))
