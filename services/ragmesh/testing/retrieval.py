"""Builders of what an index keeps, heads by hand, and a retriever that says what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ragmesh.core.callers import OPEN, Access, Caller
from ragmesh.core.errors import IndexVersionGoneError, RagmeshError
from ragmesh.core.ids import chunk_id, new_uid
from ragmesh.core.index import (
    Attributes,
    Chunk,
    ChunkDraft,
    DocumentWrite,
    Head,
    HeadBatch,
    IndexSpec,
)
from ragmesh.core.metadata import Metadata, SortableField
from ragmesh.core.questions import parse_limit
from ragmesh.core.search import Hit, QueryTerm, Retrieval, RetrieveQuery, Sentence
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Passage
from ragmesh.testing.embedding import (
    FakeEmbedder,
    fake_fingerprint,
    hashed_sentences,
    hashed_vector,
)

TENANT = "0190a000-0000-7000-8000-000000000001"


def index_spec(
    *,
    language: str = "en",
    sortable: tuple[SortableField, ...] = (),
    default_restricted: bool = False,
    tenant_uid: str = TENANT,
) -> IndexSpec:
    """The spec of a new index version of vectors that the fake encoder makes."""
    return IndexSpec(
        index_version_uid=new_uid(),
        collection_uid=new_uid(),
        tenant_uid=tenant_uid,
        encoder="fake",
        fingerprint=fake_fingerprint(),
        language=language,
        sortable=sortable,
        default_restricted=default_restricted,
    )


def attributes(
    document_id: str,
    *,
    generation: int = 1,
    title: str = "",
    metadata: Metadata | None = None,
    sortable: Sequence[SortableField] = (),
) -> Attributes:
    """Attributes of an open document."""
    metadata = Metadata() if metadata is None else metadata
    return Attributes(
        generation=generation,
        document_id=document_id,
        title=title,
        content_type="text/plain",
        metadata=metadata.canonical,
        tokens=metadata.tokens(),
        slots=metadata.slots(sortable),
        access=OPEN,
    )


def chunk(text: str, *, ordinal: int = 0, start: int = 0, headings: tuple[str, ...] = ()) -> Chunk:
    """A chunk with the fake encoder's vectors; its sentences end at full stops."""
    sentences = _sentences(text)
    return Chunk(
        ChunkDraft(
            ordinal=ordinal,
            text=text,
            span=Span(start, start + len(text)),
            headings=headings,
            page=None,
            token_count=len(text.split()),
            sentences=sentences,
        ),
        hashed_vector(text),
        hashed_sentences(Passage(text, sentences)),
    )


def chunks(*texts: str) -> tuple[Chunk, ...]:
    """Consecutive chunks of one revision."""
    made: list[Chunk] = []
    start = 0
    for ordinal, text in enumerate(texts):
        made.append(chunk(text, ordinal=ordinal, start=start))
        start += len(text) + 1
    return tuple(made)


def document_write(
    spec: IndexSpec,
    document_id: str,
    *texts: str,
    revision: int = 1,
    given: Attributes | None = None,
) -> DocumentWrite:
    """A write of a document whose uid is made of its id."""
    return DocumentWrite(
        index_version_uid=spec.index_version_uid,
        fingerprint=spec.fingerprint,
        document_uid=uid_of(document_id),
        revision=revision,
        attributes=attributes(document_id) if given is None else given,
        chunks=chunks(*texts),
    )


def uid_of(document_id: str) -> str:
    """The uid that the builders give to a document."""
    return f"uid-{document_id}"


@dataclass(slots=True)
class Publisher:
    """Makes batches of heads for one index version, each with the next sequence."""

    spec: IndexSpec
    sequence: int = 0

    def publish(
        self, document_id: str, *, revision: int = 1, generation: int = 1, access: Access = OPEN
    ) -> HeadBatch:
        """The batch that makes a revision the published one."""
        self.sequence += 1
        head = Head(
            document_uid=uid_of(document_id),
            revision=revision,
            generation=generation,
            access=access,
            chunk_count=1,
            digest="",
            sequence=self.sequence,
        )
        return self._batch(head)

    def delete(self, document_id: str) -> HeadBatch:
        """The batch that makes a document disappear."""
        self.sequence += 1
        head = Head(
            document_uid=uid_of(document_id),
            revision=0,
            generation=1,
            access=OPEN,
            chunk_count=0,
            digest="",
            sequence=self.sequence,
            deleted=True,
        )
        return self._batch(head)

    def heartbeat(self) -> HeadBatch:
        """The batch that says that nothing has changed."""
        return self._batch()

    def _batch(self, *heads: Head) -> HeadBatch:
        return HeadBatch(self.spec.index_version_uid, heads, self.sequence, caught_up=True)


class ManualHeads:
    """A HeadsSource that says what the test makes it say, and waits until it is applied."""

    def __init__(self) -> None:
        self._batches: dict[str, list[HeadBatch]] = {}
        self._failures: dict[str, RagmeshError] = {}
        self._applied: dict[str, int] = {}
        self._moved = asyncio.Condition()
        self.watches: list[tuple[str, int]] = []
        """(index version, from sequence) of every stream that was asked for."""

    async def say(self, batch: HeadBatch) -> None:
        """Send a batch to its follower and return once it is applied."""
        uid = batch.index_version_uid
        async with self._moved:
            self._batches.setdefault(uid, []).append(batch)
            sent = len(self._batches[uid])
            self._moved.notify_all()
            await self._moved.wait_for(lambda: self._applied.get(uid, 0) >= sent)

    def said(self, batch: HeadBatch) -> None:
        """Have sent a batch before anybody follows."""
        self._batches.setdefault(batch.index_version_uid, []).append(batch)

    async def fail(self, index_version_uid: str, error: RagmeshError) -> None:
        """Break the stream of an index version; the next one is whole again."""
        async with self._moved:
            self._failures[index_version_uid] = error
            self._moved.notify_all()
            await self._moved.wait_for(lambda: index_version_uid not in self._failures)

    async def watch_heads(
        self, caller: Caller, index_version_uid: str, *, from_sequence: int
    ) -> AsyncIterator[HeadBatch]:
        """What was said so far and above the sequence, then what will be said."""
        uid = index_version_uid
        self.watches.append((uid, from_sequence))
        position = 0
        while True:
            async with self._moved:
                await self._moved.wait_for(partial(self._has_news, uid, position))
                failure = self._failures.pop(uid, None)
                self._moved.notify_all()
            if failure is not None:
                raise failure
            batch = self._batches[uid][position]
            position += 1
            heads = tuple(head for head in batch.heads if head.sequence > from_sequence)
            yield replace(batch, heads=heads)
            async with self._moved:
                self._applied[uid] = max(self._applied.get(uid, 0), position)
                self._moved.notify_all()

    def _has_news(self, uid: str, position: int) -> bool:
        return uid in self._failures or len(self._batches.get(uid, ())) > position


@dataclass(slots=True)
class FakeRetriever:
    """The retrieval service for the gateway's tests: answers what it is told, remembers what it
    is asked."""

    hits: tuple[Hit, ...] = ()
    index_version_uid: str = ""
    """The one index version there is; "" = whichever is asked for."""
    heads_sequence: int = 1
    degraded: tuple[str, ...] = ()
    failures: list[RagmeshError] = field(default_factory=list)
    """Raised by the next calls, one each."""
    queries: list[tuple[Caller, RetrieveQuery]] = field(default_factory=list)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """The hits it was given, as many as were asked for."""
        self.queries.append((caller, query))
        if self.failures:
            raise self.failures.pop(0)
        parse_limit(query.limit)
        if self.index_version_uid not in ("", query.index_version_uid):
            raise IndexVersionGoneError.of(query.index_version_uid)
        words = dict.fromkeys(query.question.text.casefold().split())
        return Retrieval(
            hits=self.hits[: query.limit],
            index_version_uid=query.index_version_uid,
            heads_sequence=self.heads_sequence,
            query_vector=hashed_vector(query.question.text),
            fingerprint=self.embedder.fingerprint,
            terms=tuple(QueryTerm(word, 1.0) for word in words),
            degraded=self.degraded,
            timings_ms=(("embed", 0.1), ("rank", 0.1), ("load", 0.1)),
        )


def fake_hit(document_id: str, text: str, *, score: float = 1.0, title: str = "") -> Hit:
    """A hit of a whole document that is one chunk, as retrieval would return it."""
    one = chunk(text)
    return Hit(
        chunk_id=chunk_id(new_uid(), uid_of(document_id), 1, 0),
        document_uid=uid_of(document_id),
        document_id=document_id,
        revision=1,
        title=title,
        text=text,
        score=score,
        similarity=score,
        span=one.draft.span,
        page=None,
        headings=(),
        metadata="{}",
        token_count=one.draft.token_count,
        sentences=tuple(Sentence(span, ()) for span in one.draft.sentences),
        sentence_vectors=one.sentence_vectors,
    )


def _sentences(text: str) -> tuple[Span, ...]:
    """Spans up to and including each full stop."""
    spans, start = [], 0
    while start < len(text):
        stop = text.find(".", start)
        end = len(text) if stop < 0 else stop + 1
        spans.append(Span(start, end))
        start = end + (1 if text[end : end + 1] == " " else 0)
    return tuple(spans)
