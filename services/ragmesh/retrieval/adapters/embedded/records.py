"""How values stand in the rows of an index version's file, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragmesh.core.ids import chunk_id
from ragmesh.core.index import Attributes, Chunk, ChunkDraft
from ragmesh.core.search import QueryTerm
from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.chunk_words import matched_sentences, words_of
from ragmesh.retrieval.ports import StoredChunk


@dataclass(frozen=True, slots=True)
class Held:
    """A write in force with what filtering needs of its attributes."""

    key: int
    document_uid: str
    revision: int
    first_row: int
    chunk_count: int
    attributes: int
    """Number of the attributes in force."""
    generation: int
    document_id: str
    title: str
    tokens: tuple[str, ...]
    slots: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Held:
        """The write of a row whose last two columns are JSON."""
        *plain, tokens, slots = row
        numbers = ((int(slot), float(value)) for slot, value in json.loads(slots))
        values: list[Any] = [*plain, tuple(json.loads(tokens)), tuple(numbers)]
        return cls(*values)


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk as it was read."""

    row: int
    document_uid: str
    revision: int
    ordinal: int
    text: str
    span_start: int
    span_end: int
    headings: str
    page: int | None
    token_count: int
    sentences: str
    words: str
    sentence_dimension: int | None
    sentence_vectors: bytes | None
    gap: str

    def stored(
        self,
        index_version_uid: str,
        attributes: tuple[str, str, str],
        terms: Sequence[QueryTerm],
    ) -> StoredChunk:
        """The chunk as it leaves the store, with the query's terms in each sentence."""
        document_id, title, metadata = attributes
        return StoredChunk(
            place=self.row,
            chunk_id=chunk_id(index_version_uid, self.document_uid, self.revision, self.ordinal),
            document_uid=self.document_uid,
            document_id=document_id,
            revision=self.revision,
            ordinal=self.ordinal,
            title=title,
            text=self.text,
            span=Span(self.span_start, self.span_end),
            page=self.page,
            headings=tuple(json.loads(self.headings)),
            metadata=metadata,
            token_count=self.token_count,
            sentences=matched_sentences(self.words, _spans(self.sentences), terms),
            sentence_vectors=self.sentence_values(),
            gap=self.gap,
        )

    def draft(self) -> ChunkDraft:
        """The chunk as it was before it was embedded."""
        return ChunkDraft(
            ordinal=self.ordinal,
            text=self.text,
            span=Span(self.span_start, self.span_end),
            headings=tuple(json.loads(self.headings)),
            page=self.page,
            token_count=self.token_count,
            sentences=_spans(self.sentences),
            gap=self.gap,
        )

    def sentence_values(self) -> SentenceVectors | None:
        """The vectors of its sentences."""
        if self.sentence_dimension is None or self.sentence_vectors is None:
            return None
        return SentenceVectors(self.sentence_dimension, self.sentence_vectors)


@dataclass(frozen=True, slots=True)
class UnanalysedRow:
    """What the words of a chunk are made of."""

    row: int
    text: str
    headings: str
    """JSON."""
    sentences: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """A chunk whose words are analysed, ready to be kept."""

    chunk: Chunk
    words: str
    """One line a sentence and a last line for the rest, terms separated by spaces."""
    heading_words: str

    @classmethod
    def of(cls, chunk: Chunk, analyzer: Analyzer) -> PreparedChunk:
        """Analyse a chunk; this is most of the work of a write."""
        draft = chunk.draft
        return cls(chunk, *words_of(analyzer, draft.text, draft.headings, draft.sentences))

    def row(self, row: int, key: int) -> tuple[Any, ...]:
        """The values of its row."""
        draft, vectors = self.chunk.draft, self.chunk.sentence_vectors
        return (
            row,
            key,
            draft.ordinal,
            draft.text,
            draft.span.start,
            draft.span.end,
            json.dumps(draft.headings, ensure_ascii=False),
            draft.page,
            draft.token_count,
            json.dumps([[span.start, span.end] for span in draft.sentences]),
            self.words,
            self.heading_words,
            None if vectors is None else vectors.dimension,
            None if vectors is None else vectors.values,
            draft.gap,
        )


def analysed_anew(row: UnanalysedRow, analyzer: Analyzer) -> tuple[str, str]:
    """Words and heading words of a chunk that is kept."""
    return words_of(analyzer, row.text, json.loads(row.headings), _spans(row.sentences))


def _spans(sentences: str) -> tuple[Span, ...]:
    return tuple(Span(start, end) for start, end in json.loads(sentences))


def chunks_of(rows: Sequence[ChunkRow], vectors: bytes) -> tuple[Chunk, ...]:
    """Chunks as they were written, of their rows by ordinal and the vectors of all."""
    size = len(vectors) // max(1, len(rows))
    return tuple(
        Chunk(
            row.draft(), Vector(vectors[start * size : (start + 1) * size]), row.sentence_values()
        )
        for start, row in enumerate(rows)
    )


def attributes_values(attributes: Attributes) -> tuple[Any, ...]:
    """The values of attributes in the order of their table."""
    return (
        attributes.generation,
        attributes.document_id,
        attributes.title,
        attributes.content_type,
        attributes.metadata,
        json.dumps(sorted(attributes.tokens), ensure_ascii=False),
        json.dumps(attributes.slots),
    )
