"""Chunks to search beside a rival: clustered vectors, sentences, and labels that filters keep."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragmesh.core.callers import OPEN, Principal
from ragmesh.core.filters import Eq, Filter
from ragmesh.core.index import (
    Attributes,
    Chunk,
    DocumentWrite,
    Head,
    HeadBatch,
    IndexSpec,
)
from ragmesh.core.metadata import Metadata
from ragmesh.core.vectors import Fingerprint, SentenceVectors, Vector
from ragmesh.retrieval.ports import VectorIndex
from tools.bench.chunks import DIMENSION, draft_of
from tools.bench.texts import documents

Floats = npt.NDArray[np.float32]
A_DOCUMENT = 10
QUESTIONS = 200
_CENTRES = 1_000
_SPREAD = 0.08
_AT_ONCE = 50
_WORDS = 8
READER = Principal("tenant", "reader")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What both sides hold and are asked."""

    vectors: Floats
    texts: Sequence[str]
    labels: dict[str, npt.NDArray[np.bool_]]
    questions: Floats
    words: Sequence[str]

    def save(self, folder: Path) -> None:
        """Files for the other side."""
        np.save(folder / "vectors.npy", self.vectors)
        np.save(folder / "questions.npy", self.questions)
        np.savez(folder / "labels.npz", **self.labels)  # type: ignore[arg-type]
        (folder / "texts.json").write_text(json.dumps(self.texts), "utf-8")
        (folder / "words.json").write_text(json.dumps(self.words), "utf-8")

    def nearest(self, number: int, label: str, count: int) -> set[int]:
        """The rows most alike a question, by comparing all."""
        scores = self.vectors @ self.questions[number]
        if label:
            scores[~self.labels[label]] = -np.inf
        return set(np.argsort(-scores)[:count].tolist())


def made(chunks: int, *, seed: int = 1) -> Corpus:
    """A corpus; the labels keep about 21 %, 0.4 % and 0.01 % of its documents."""
    random = np.random.default_rng(seed)
    vectors = gathered(chunks, random)
    asked = random.integers(0, chunks, QUESTIONS)
    texts = list(itertools.islice(documents(None, sentences=4, seed=seed), chunks))
    document = np.arange(chunks) // A_DOCUMENT
    few = max(1, document[-1] // 10_000 + 1)
    labels = {
        "wide": document % 100 < 21,
        "narrow": document % 250 == 7,
        "few": (document > 7) & (document <= 7 + few),
    }
    words = [" ".join(texts[number].split()[-_WORDS:]) for number in asked]
    return Corpus(vectors, texts, labels, around(vectors[asked], random), words)


def gathered(chunks: int, random: np.random.Generator) -> Floats:
    """Vectors around centres, as texts of some subjects are."""
    centres = random.standard_normal((_CENTRES, DIMENSION), np.float32) / np.sqrt(DIMENSION)
    return around(centres[random.integers(0, _CENTRES, chunks)], random)


def keeping(label: str) -> Filter | None:
    """The filter that keeps what has the label."""
    return Eq(label, True) if label else None


async def fill(
    index: VectorIndex, spec: IndexSpec, corpus: Corpus, at_once: int = _AT_ONCE
) -> None:
    """Have the index keep and show the corpus."""
    numbers = range(len(corpus.vectors) // A_DOCUMENT)
    for first in numbers[::at_once]:
        batch = numbers[first : first + at_once]
        digests = await asyncio.gather(
            *(index.write(_document(spec, corpus, number)) for number in batch)
        )
        heads = tuple(
            Head(one.document_uid, 1, 1, OPEN, one.chunk_count, one.digest, first + place)
            for place, one in enumerate(digests, 1)
        )
        await index.apply_heads(
            HeadBatch(spec.index_version_uid, heads, first + len(batch), caught_up=True)
        )


def number_of(document_id: str, ordinal: int) -> int:
    """The row of a chunk."""
    return int(document_id) * A_DOCUMENT + ordinal


def around(points: Floats, random: np.random.Generator) -> Floats:
    """A vector of unit length close to each point."""
    moved = points + _SPREAD * random.standard_normal(points.shape, np.float32)
    unit: Floats = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return unit


def _document(spec: IndexSpec, corpus: Corpus, number: int) -> DocumentWrite:
    rows = range(number * A_DOCUMENT, (number + 1) * A_DOCUMENT)
    held = {name: True for name, mask in corpus.labels.items() if mask[rows[0]]}
    metadata = Metadata.parse(held)
    return DocumentWrite(
        index_version_uid=spec.index_version_uid,
        fingerprint=spec.fingerprint,
        document_uid=f"d{number:08}",
        revision=1,
        attributes=Attributes(
            1, str(number), "", "text/plain", metadata.canonical, metadata.tokens(), (), OPEN
        ),
        chunks=tuple(
            _chunk(ordinal, corpus.texts[row], corpus.vectors[row])
            for ordinal, row in enumerate(rows)
        ),
    )


def _chunk(ordinal: int, text: str, vector: Floats) -> Chunk:
    return Chunk(
        draft_of(ordinal, text),
        Vector(vector.astype("<f4").tobytes()),
        SentenceVectors(DIMENSION, np.zeros(2 * DIMENSION, np.int8).tobytes()),
    )


def spec_like(fingerprint: Fingerprint, encoder: str) -> IndexSpec:
    """The spec of the corpus's index version for an encoder of its dimension."""
    uid = "01900000-0000-7000-8000-0000000000bb"
    return IndexSpec(uid, uid, READER.tenant_uid, encoder, fingerprint, "en", (), False)
