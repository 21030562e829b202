"""Fakes of the cache for its consumers, and builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ragmesh.cache.service import refuse_untagged, widened, worth_keeping
from ragmesh.core.answers import (
    Answer,
    AnswerStatus,
    Citation,
    Invalidation,
    ReadMark,
    StoredAnswer,
    Usage,
)
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import InvalidError, RagmeshError
from ragmesh.core.search import Hit, Retrieval, StoredHits
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Vector
from ragmesh.testing.embedding import fake_fingerprint
from ragmesh.testing.retrieval import fake_hit

COLLECTION = "0198c2a0-0000-7000-8000-00000000c011"
_READ_AT = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
"""A second after a ManualClock starts."""


@dataclass(slots=True)
class FakeAnswerCache:
    """A CacheService for its consumers: keeps what it is given, remembers what it was asked."""

    error: RagmeshError | None = None
    """Raised by every call while it is set."""
    refuse: bool = False
    """Whether stores are refused, as by a cache that began a moment ago."""
    entries: dict[tuple[Caller | str, str], StoredAnswer] = field(default_factory=dict)
    """What is kept, by its owner (a tenant or a machine) and key."""
    hits: dict[tuple[Caller | str, str], StoredHits] = field(default_factory=dict)
    """Hits of searches that are kept, in the same way."""
    lookups: list[tuple[Caller, str]] = field(default_factory=list)
    stores: list[tuple[Caller, StoredAnswer]] = field(default_factory=list)
    invalidations: list[Invalidation] = field(default_factory=list)

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """What was stored for the same tenant under the key."""
        self._fail()
        self.lookups.append((caller, key))
        return self.entries.get((_owner(caller), key))

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep a complete answer that nothing has overtaken, unless told to refuse."""
        self._fail()
        self.stores.append((caller, entry))
        refuse_untagged(entry)
        overtaken = any(_concerns(change, entry) for change in self.invalidations)
        if self.refuse or overtaken or not worth_keeping(entry):
            return False
        self.entries[_owner(caller), entry.key] = entry
        return True

    async def check_read(self, caller: Caller, read: ReadMark) -> bool:
        """Whether nothing that was read has changed since, as far as it was told."""
        self._fail()
        return not any(_concerns(change, read) for change in self.invalidations)

    async def lookup_hits(self, caller: Caller, key: str) -> Retrieval | None:
        """What was stored for the same tenant under the key."""
        self._fail()
        entry = self.hits.get((_owner(caller), key))
        return None if entry is None else entry.retrieval

    async def store_hits(self, caller: Caller, entry: StoredHits) -> bool:
        """Keep hits that nothing has overtaken, unless told to refuse."""
        self._fail()
        overtaken = any(_concerns(widened(change), entry) for change in self.invalidations)
        if self.refuse or overtaken or entry.retrieval.degraded:
            return False
        self.hits[_owner(caller), entry.key] = entry
        return True

    async def invalidate(self, caller: Caller, invalidations: Sequence[Invalidation]) -> None:
        """Drop what read one of the documents before its change."""
        self._fail()
        self.invalidations.extend(invalidations)
        for change in invalidations:
            for place, entry in list(self.entries.items()):
                if _concerns(change, entry):
                    del self.entries[place]
            for place, found in list(self.hits.items()):
                if _concerns(widened(change), found):
                    del self.hits[place]

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass(slots=True)
class FakeVectorCache:
    """The vectors that a CacheService keeps, without bounds."""

    vectors: dict[tuple[str, str], Vector] = field(default_factory=dict)
    failure: RagmeshError | None = None
    """Raised by the calls named in `failing` while it is set."""
    failing: tuple[str, ...] = ("lookup", "store")

    async def lookup_vectors(
        self, fingerprint: str, texts: Sequence[str]
    ) -> tuple[Vector | None, ...]:
        """The known vector of each text."""
        self._fail("lookup")
        return tuple(self.vectors.get((fingerprint, text)) for text in texts)

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        """Keep them all."""
        self._fail("store")
        if len(texts) != len(vectors):
            raise InvalidError.of("vectors", "must be as many as there are texts")
        for text, vector in zip(texts, vectors, strict=True):
            self.vectors[fingerprint, text] = vector

    def _fail(self, call: str) -> None:
        if self.failure is not None and call in self.failing:
            raise self.failure


def stored_answer(
    key: str = "key",
    *,
    documents: Sequence[str] = ("document",),
    sequence: int = 1,
    read_at: datetime = _READ_AT,
    status: AnswerStatus = AnswerStatus.ANSWERED,
    text: str = "It is so. [1]",
) -> StoredAnswer:
    """An answer that cites the first of the documents and read all of them."""
    answer = Answer(
        answer=text,
        status=status,
        citations=(_citation(documents[0]),),
        confidence=0.9,
        groundedness=1.0,
        cached=False,
        model="fake-1",
        usage=Usage(),
        index_version="v1-00000000",
        heads_sequence=sequence,
        request_id="request",
    )
    return StoredAnswer(key, COLLECTION, answer, sequence, tuple(documents), read_at)


def read_mark(
    *, documents: Sequence[str] = ("document",), sequence: int = 1, read_at: datetime = _READ_AT
) -> ReadMark:
    """What a question read of the documents."""
    return ReadMark(COLLECTION, sequence, tuple(documents), read_at)


def stored_hits(
    key: str = "key",
    *,
    documents: Sequence[str] = ("document",),
    sequence: int = 1,
    read_at: datetime = _READ_AT,
) -> StoredHits:
    """What a search found: one chunk of each document."""
    retrieval = Retrieval(
        hits=tuple(_found(name) for name in documents),
        index_version_uid="version",
        heads_sequence=sequence,
        query_vector=None,
        fingerprint=fake_fingerprint(),
        terms=(),
    )
    return StoredHits(key, COLLECTION, retrieval, read_at)


def change(document: str, sequence: int, collection: str = COLLECTION) -> Invalidation:
    """The news that a document changed."""
    return Invalidation(collection, document, sequence)


def _found(document_uid: str) -> Hit:
    hit = fake_hit("a", "It is so.")
    return replace(hit, document_uid=document_uid, chunk_id=f"{document_uid}#0")


def _citation(document_uid: str) -> Citation:
    return Citation(
        marker="[1]",
        document_uid=document_uid,
        document_id="a",
        revision=1,
        title="",
        chunk_id="chunk",
        quote="It is so.",
        span=Span(0, 9),
        page=None,
        headings=(),
    )


def _concerns(news: Invalidation, entry: StoredAnswer | StoredHits | ReadMark) -> bool:
    return (
        news.collection_uid == entry.collection_uid
        and news.sequence > entry.heads_sequence
        and (not news.document_uid or news.document_uid in entry.tags)
    )


def _owner(caller: Caller) -> Caller | str:
    return caller if isinstance(caller, Machine) else caller.tenant_uid
