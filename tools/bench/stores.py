"""W2: both stores of index versions rank alike, over a set of questions with relevant documents."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.callers import OPEN, Machine
from ragmesh.core.ids import new_uid
from ragmesh.core.index import (
    Attributes,
    Chunk,
    ChunkDraft,
    DocumentWrite,
    Head,
    HeadBatch,
    IndexSpec,
)
from ragmesh.core.search import SearchMode
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Lane, Passage, Vector
from ragmesh.embedding.service import EmbeddingService
from ragmesh.evaluation.ranking import Ranking, ndcg_at, ranked
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.adapters.weaviate.index import weaviate_index
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.fusion import fuse
from ragmesh.retrieval.ports import RankRequest, VectorIndex
from ragmesh.retrieval.wording import Wording
from tools.bench.kinds import Gold
from tools.bench.lanes import open_embedder
from tools.bench.page import Goal, Table
from tools.servers.server import Server, running

FLUSH_SECONDS = 2.5
"""The default of `index.flush_seconds`."""
_PIECE = 1_000
"""Characters of a chunk, at most, unless a sentence is longer."""
_BATCH, _QUESTIONS = 64, 300
_CANDIDATES, _FIRST = 100, 10
_MOST_APART = 0.01
_MODES = tuple(SearchMode)
READER = Machine("retrieval")

ABOUT = """\
The documents of a folder's docs.jsonl, in chunks of whole sentences, are embedded once by the
default encoder and written to an index of files and to one of Weaviate; some 300 questions of
queries.jsonl are asked of both, in each mode. Figures are nDCG@10 by qrels.jsonl, and beside them
those of files, with the share of the first ten documents that both have."""

Found = Mapping[SearchMode, Sequence[Ranking]]
"""What one store found for each question, by mode."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked, made ready."""

    texts: tuple[str, ...]
    vectors: tuple[Vector, ...]
    relevant: tuple[frozenset[str], ...]

    def gain(self, rankings: Sequence[Ranking]) -> float:
        """nDCG@10 over all of them."""
        pairs = zip(rankings, self.relevant, strict=True)
        return fmean(ndcg_at(_FIRST, one, dict.fromkeys(names, 1)) for one, names in pairs)


async def measure_stores(folder: Path | None) -> Table:
    """Both stores, one after the other, on the same vectors."""
    if folder is None:
        raise SystemExit("W2 needs FOLDER=… with docs, queries, qrels and answers as .jsonl")
    gold = await asyncio.to_thread(Gold.read, folder)
    async with open_embedder() as embedder:
        (encoder,) = await embedder.list_encoders()
        uids = (new_uid(), new_uid(), new_uid())
        spec = IndexSpec(*uids, encoder.name, encoder.fingerprint, "en", (), False)
        writes = [write async for write in _writes(embedder, spec, gold)]
        questions = await _questions(embedder, encoder.name, gold)
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as place:
        async with embedded_index(Path(place, "index")) as files:
            beside = await _found(files, spec, writes, questions)
        async with _weaviate(Path(place, "weaviate")) as remote:
            found = await _found(remote, spec, writes, questions)
    goals = tuple(_goal(mode, found, beside, questions) for mode in _MODES)
    about = f"{ABOUT}\n{len(questions.texts)} questions over {len(writes)} documents."
    return Table("W2: Weaviate ranks as files do", about, goals, beside="files")


@asynccontextmanager
async def _weaviate(folder: Path) -> AsyncIterator[VectorIndex]:
    async with started("weaviate", folder) as server:
        where, clock = WeaviateServer.parse(server.url), SystemClock()
        async with weaviate_index(where, clock=clock, flush_seconds=FLUSH_SECONDS) as index:
            yield index


@asynccontextmanager
async def started(name: str, folder: Path) -> AsyncIterator[Server]:
    """A real server for the time of the block."""
    server = running(name, folder)
    try:
        yield await asyncio.to_thread(server.__enter__)
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def _found(
    index: VectorIndex, spec: IndexSpec, writes: Sequence[DocumentWrite], questions: Questions
) -> Found:
    await index.create(spec)
    digests = await asyncio.gather(*map(index.write, writes))
    heads = tuple(
        Head(one.document_uid, 1, 1, OPEN, one.chunk_count, one.digest, place)
        for place, one in enumerate(digests, 1)
    )
    await index.apply_heads(HeadBatch(spec.index_version_uid, heads, len(heads), True))
    found: dict[SearchMode, list[Ranking]] = {}
    for mode in _MODES:
        found[mode] = [
            await _ranked(index, spec.index_version_uid, mode, text, vector)
            for text, vector in zip(questions.texts, questions.vectors, strict=True)
        ]
    return found


async def _ranked(
    index: VectorIndex, uid: str, mode: SearchMode, text: str, vector: Vector
) -> Ranking:
    request = RankRequest(
        caller=READER,
        wording=Wording(text),
        vector=None if mode is SearchMode.KEYWORD else vector,
        keyword=mode is not SearchMode.DENSE,
        filter=None,
        candidates=_CANDIDATES,
    )
    async with index.read(uid) as view:
        rankings = await view.rank(request)
    fused = fuse(rankings.rankings, rankings.candidates)
    return ranked(one.candidate.document_id for one in fused)


def _goal(mode: SearchMode, found: Found, beside: Found, questions: Questions) -> Goal:
    ours, theirs = questions.gain(found[mode]), questions.gain(beside[mode])
    shared = fmean(map(_shared, found[mode], beside[mode]))
    return Goal(
        f"{mode.value} nDCG@10",
        f"{ours:.4f}",
        f"within {_MOST_APART} of files",
        abs(ours - theirs) <= _MOST_APART,
        f"{theirs:.4f}, {shared:.1%} shared",
    )


def _shared(one: Ranking, other: Ranking) -> float:
    names = {place.document_id for place in one[:_FIRST]}
    return len(names & {place.document_id for place in other[:_FIRST]}) / max(1, len(names))


async def _questions(embedder: EmbeddingService, encoder: str, gold: Gold) -> Questions:
    asked = gold.questions[:: max(1, len(gold.questions) // _QUESTIONS)]
    texts = tuple(str(row["text"]) for row in asked)
    vectors: list[Vector] = []
    for at in range(0, len(texts), _BATCH):
        made = await embedder.embed_texts(texts[at : at + _BATCH], encoder=encoder, lane=Lane.BULK)
        vectors += made.vectors
    relevant = tuple(gold.relevant[str(row["id"])] for row in asked)
    return Questions(texts, tuple(vectors), relevant)


async def _writes(
    embedder: EmbeddingService, spec: IndexSpec, gold: Gold
) -> AsyncIterator[DocumentWrite]:
    for row in gold.documents:
        drafts = tuple(_drafts(str(row["text"])))
        made = await embedder.embed_passages(
            [Passage(draft.text, draft.sentences) for draft in drafts], encoder=spec.encoder
        )
        chunks = tuple(
            Chunk(draft, one.vector, one.sentences)
            for draft, one in zip(drafts, made.passages, strict=True)
        )
        name, title = str(row["id"]), str(row.get("title") or "")
        given = Attributes(1, name, title, "text/plain", "{}", frozenset(), (), OPEN)
        yield DocumentWrite(
            spec.index_version_uid, spec.fingerprint, f"uid-{name}", 1, given, chunks
        )


def _drafts(text: str) -> Iterator[ChunkDraft]:
    """Chunks of whole sentences; a full stop and a space end one."""
    start = ordinal = 0
    while start < len(text):
        stop = text.rfind(". ", start, start + _PIECE) + 1 if len(text) - start > _PIECE else 0
        end = stop or min(len(text), start + _PIECE)
        piece = text[start:end]
        yield ChunkDraft(
            ordinal, piece, Span(start, end), (), None, len(piece) // 4, (Span(0, len(piece)),)
        )
        start, ordinal = end, ordinal + 1
