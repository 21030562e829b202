"""An index of many chunks, made of random vectors and the sentences of this project's pages."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

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
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Fingerprint, SentenceKind, SentenceVectors, Vector
from ragmesh.retrieval.adapters.embedded.index import EmbeddedIndex
from ragmesh.retrieval.ports import RankRequest
from ragmesh.retrieval.wording import Wording
from tools.bench.texts import documents

DIMENSION = 384
CHUNKS_A_DOCUMENT = 20
_SENTENCES = 4
_AT_ONCE = 50
READER = Machine("retrieval")


def spec_of_index() -> IndexSpec:
    """Like that of a collection with the default encoder."""
    fingerprint = Fingerprint(
        "bench", "", "fp32", DIMENSION, True, "", "", 256, SentenceKind.POOLED
    )
    return IndexSpec(new_uid(), new_uid(), new_uid(), "bench", fingerprint, "en", (), False)


@dataclass(slots=True)
class Writer:
    """Writes documents one after the other and publishes each."""

    index: EmbeddedIndex
    spec: IndexSpec
    seed: int = 0
    next_number: int = 0
    _texts: Iterator[str] = field(init=False)
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._texts = documents(None, sentences=_SENTENCES, seed=self.seed)
        self._random = np.random.default_rng(self.seed + self.next_number)

    async def write(self, documents: int = 1) -> DocumentWrite:
        """Have the index keep the next documents together and show them; the last of them."""
        first = self.next_number
        self.next_number += documents
        written = [self._document(number) for number in range(first, self.next_number)]
        digests = await asyncio.gather(*map(self.index.write, written))
        heads = tuple(
            Head(one.document_uid, 1, 1, OPEN, one.chunk_count, one.digest, first + place)
            for place, one in enumerate(digests, 1)
        )
        batch = HeadBatch(self.spec.index_version_uid, heads, self.next_number, True)
        await self.index.apply_heads(batch)
        return written[-1]

    def _document(self, number: int) -> DocumentWrite:
        texts = list(itertools.islice(self._texts, CHUNKS_A_DOCUMENT))
        return DocumentWrite(
            index_version_uid=self.spec.index_version_uid,
            fingerprint=self.spec.fingerprint,
            document_uid=f"d{number:08}",
            revision=1,
            attributes=Attributes(1, f"d{number}", "", "text/plain", "{}", frozenset(), (), OPEN),
            chunks=tuple(self._chunk(ordinal, text) for ordinal, text in enumerate(texts)),
        )

    def _chunk(self, ordinal: int, text: str) -> Chunk:
        rows = self._random.integers(-127, 127, (2, DIMENSION), np.int8)
        vectors = SentenceVectors(DIMENSION, rows.tobytes())
        return Chunk(draft_of(ordinal, text), self.vector(), vectors)

    def vector(self) -> Vector:
        """A random direction."""
        drawn = self._random.standard_normal(DIMENSION).astype(np.float32)
        return Vector((drawn / np.linalg.norm(drawn)).astype("<f4").tobytes())


def draft_of(ordinal: int, text: str) -> ChunkDraft:
    """A chunk of two sentences, whatever the text says."""
    half = len(text) // 2
    return ChunkDraft(
        ordinal=ordinal,
        text=text,
        span=Span(0, len(text)),
        headings=(),
        page=None,
        token_count=len(text) // 4,
        sentences=(Span(0, half), Span(half, len(text))),
    )


async def fill(writer: Writer, chunks: int) -> float:
    """Write documents until there are so many chunks; chunks a second."""
    begun = time.perf_counter()
    for _ in range(chunks // (CHUNKS_A_DOCUMENT * _AT_ONCE)):
        await writer.write(_AT_ONCE)
    return chunks / (time.perf_counter() - begun)


async def search(index: EmbeddedIndex, spec: IndexSpec, vector: Vector, words: str) -> list[str]:
    """Uids of the documents of the ten best chunks, by meaning and by words."""
    request = RankRequest(READER, Wording(words), vector, True, None, 100)
    async with index.read(spec.index_version_uid) as view:
        ranked = await view.rank(request)
        best = sorted(ranked.candidates.values(), key=lambda one: -one.similarity)[:10]
        found = await view.load([one.place for one in best], ranked.terms)
    return [chunk.document_uid for chunk in found]
