"""A VectorIndex in memory: what every other store must agree with, and too slow for more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from ragmesh.core.errors import (
    AlreadyExistsError,
    IndexVersionGoneError,
    InvalidPageTokenError,
    RevisionNotFoundError,
)
from ragmesh.core.filters import matches
from ragmesh.core.ids import chunk_id
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    Head,
    HeadBatch,
    IndexDescription,
    IndexSpec,
    chunks_digest,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.search import QueryTerm, Sentence
from ragmesh.retrieval.ports import Candidate, Ranking, Rankings, RankRequest, StoredChunk
from ragmesh.retrieval.wording import Field, Wording


@dataclass(slots=True)
class _Version:
    """One index version in memory; never changed, replaced as a whole."""

    spec: IndexSpec
    writes: dict[tuple[str, int], DocumentWrite] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    sequence: int = 0


class MemoryIndex:
    """A VectorIndex of dictionaries: slow, forgetful at the end of the process, and right."""

    def __init__(self) -> None:
        self._versions: dict[str, _Version] = {}

    async def list_indexes(self) -> tuple[str, ...]:
        """The uid of every index version that is kept, in order."""
        return tuple(sorted(self._versions))

    async def get_spec(self, index_version_uid: str) -> IndexSpec:
        """The spec it was created with, else IndexVersionGoneError."""
        return self._version(index_version_uid).spec

    async def create(self, spec: IndexSpec) -> bool:
        """Make an empty index version; False when it is there, another spec is refused."""
        is_new = spec.index_version_uid not in self._versions
        version = self._versions.setdefault(spec.index_version_uid, _Version(spec))
        if version.spec != spec:
            raise AlreadyExistsError("an index version of that uid exists with another spec")
        return is_new

    async def drop(self, index_version_uid: str) -> None:
        """Forget an index version."""
        self._versions.pop(index_version_uid, None)

    async def write(self, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks instead of those of the same revision."""
        version = self._version(write.index_version_uid)
        key = (write.document_uid, write.revision)
        old = version.writes.get(key)
        if old is not None and old.attributes.generation > write.attributes.generation:
            write = replace(write, attributes=old.attributes)
        version.writes = {**version.writes, key: write}
        return _digest(write)

    async def update_attributes(self, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has later ones."""
        version = self._version(write.index_version_uid)
        key = (write.document_uid, write.revision)
        old = version.writes.get(key)
        if old is None:
            raise RevisionNotFoundError("the index holds no such revision of the document")
        if write.attributes.generation > old.attributes.generation:
            changed = replace(old, attributes=write.attributes)
            version.writes = {**version.writes, key: changed}

    async def delete(
        self, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Forget the revisions below; how many chunks they had."""
        version = self._version(index_version_uid)
        gone = {
            key: write
            for key, write in version.writes.items()
            if key[0] == document_uid and key[1] < below_revision
        }
        version.writes = {key: w for key, w in version.writes.items() if key not in gone}
        return sum(len(write.chunks) for write in gone.values())

    async def list_digests(self, index_version_uid: str, page: PageRequest) -> Page[DocumentDigest]:
        """What is held, by document uid and revision; the token is a position."""
        writes = self._version(index_version_uid).writes
        if page.token and not page.token.isdecimal():
            raise InvalidPageTokenError("page_token was not made by this listing")
        start = int(page.token or "0")
        keys = sorted(writes)[start : start + page.rows]
        end = start + len(keys)
        token = str(end) if end < len(writes) else ""
        return Page(tuple(_digest(writes[key]) for key in keys), token)

    async def read_chunks(
        self, index_version_uid: str, document_uid: str, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision."""
        write = self._version(index_version_uid).writes.get((document_uid, revision))
        return () if write is None else write.chunks

    async def describe(self, index_version_uid: str) -> IndexDescription:
        """Counts of what is visible."""
        version = self._version(index_version_uid)
        seen = [write for write in version.writes.values() if _head_of(version, write)]
        return IndexDescription(
            index_version_uid=index_version_uid,
            fingerprint=version.spec.fingerprint,
            documents=len(seen),
            chunks=sum(len(write.chunks) for write in seen),
            heads_sequence=version.sequence,
        )

    async def apply_heads(self, batch: HeadBatch) -> None:
        """Take over the heads that are new."""
        version = self._version(batch.index_version_uid)
        news = {h.document_uid: h for h in batch.heads if h.sequence > version.sequence}
        version.heads = {**version.heads, **news}
        version.sequence = max(version.sequence, batch.sequence)

    @asynccontextmanager
    async def read(self, index_version_uid: str) -> AsyncIterator[MemoryView]:
        """A view of this moment."""
        yield MemoryView(replace(self._version(index_version_uid)))

    def _version(self, index_version_uid: str) -> _Version:
        try:
            return self._versions[index_version_uid]
        except KeyError:
            raise IndexVersionGoneError.of(index_version_uid) from None


@dataclass(frozen=True, slots=True)
class MemoryView:
    """One moment of a MemoryIndex; a place counts the chunks of the writes in order."""

    version: _Version

    @property
    def heads_sequence(self) -> int:
        """The sequence of the last heads."""
        return self.version.sequence

    @property
    def missing_documents(self) -> int:
        """How many heads name what is not held."""
        return sum(
            (uid, head.revision) not in self.version.writes
            for uid, head in self.version.heads.items()
            if not head.deleted
        )

    async def rank(self, request: RankRequest) -> Rankings:
        """Rank by cosine and by the number of common words."""
        words = list(dict.fromkeys(_words(request.wording.text)))
        found = {
            place: (write, one)
            for place, (write, one) in self._placed().items()
            if self._is_found(write, request)
        }
        similarity = {
            place: _cosine(request, one) if request.vector is not None else 0.0
            for place, (_, one) in found.items()
        }
        common = {
            place: _count_of_words(request.wording, write, one)
            for place, (write, one) in found.items()
        }
        candidates = {
            place: Candidate(
                place, write.attributes.document_id, one.draft.ordinal, similarity[place]
            )
            for place, (write, one) in found.items()
        }
        rankings = []
        if request.vector is not None:
            rankings.append(_ranking("dense", similarity, candidates, request.candidates))
        if request.keyword:
            matched = {place: score for place, score in common.items() if score}
            rankings.append(_ranking("keyword", matched, candidates, request.candidates))
        ranked = {place for ranking in rankings for place in ranking.places}
        terms = tuple(QueryTerm(word, 1.0) for word in words)
        return Rankings(
            tuple(rankings), {place: candidates[place] for place in sorted(ranked)}, terms
        )

    async def load(
        self, places: Sequence[int], terms: Sequence[QueryTerm]
    ) -> tuple[StoredChunk, ...]:
        """The chunks at these places."""
        placed = self._placed()
        return tuple(self._stored(place, *placed[place], terms) for place in places)

    def _placed(self) -> dict[int, tuple[DocumentWrite, Chunk]]:
        every = ((write, one) for write in self.version.writes.values() for one in write.chunks)
        return dict(enumerate(every))

    def _is_found(self, write: DocumentWrite, request: RankRequest) -> bool:
        head = _head_of(self.version, write)
        if head is None or not head.access.admits(request.caller):
            return False
        given = write.attributes
        return request.filter is None or matches(
            request.filter, given.tokens, dict(given.slots), self.version.spec.sortable
        )

    def _stored(
        self, place: int, write: DocumentWrite, one: Chunk, terms: Sequence[QueryTerm]
    ) -> StoredChunk:
        draft, given = one.draft, write.attributes
        uid = self.version.spec.index_version_uid
        return StoredChunk(
            place=place,
            chunk_id=chunk_id(uid, write.document_uid, write.revision, draft.ordinal),
            document_uid=write.document_uid,
            document_id=given.document_id,
            revision=write.revision,
            ordinal=draft.ordinal,
            title=given.title,
            text=draft.text,
            span=draft.span,
            page=draft.page,
            headings=draft.headings,
            metadata=given.metadata,
            token_count=draft.token_count,
            sentences=tuple(
                Sentence(span, _matched(span.of(draft.text), terms)) for span in draft.sentences
            ),
            sentence_vectors=one.sentence_vectors,
            gap=draft.gap,
        )


def _count_of_words(wording: Wording, write: DocumentWrite, one: Chunk) -> float:
    """How many words the chunk has of those asked for; none if it lacks a phrase."""
    held = {
        Field.TEXT: _words(one.draft.text),
        Field.TITLE: _words(write.attributes.title),
        Field.HEADINGS: _words(" ".join(one.draft.headings)),
    }
    for clause in wording.clauses:
        fields = Field if clause.field is None else [clause.field]
        if not any(_stands_in(_words(clause.text), held[field]) for field in fields):
            return 0.0
    every = {word for words in held.values() for word in words}
    return float(len(every.intersection(_words(wording.text))))


def _stands_in(phrase: Sequence[str], words: Sequence[str]) -> bool:
    return any(words[at : at + len(phrase)] == phrase for at in range(len(words)))


def _words(text: str) -> list[str]:
    return text.casefold().split()


def _head_of(version: _Version, write: DocumentWrite) -> Head | None:
    """The head that makes a write visible, if there is one."""
    head = version.heads.get(write.document_uid)
    if head is None or head.deleted or head.revision != write.revision:
        return None
    return head


def _digest(write: DocumentWrite) -> DocumentDigest:
    drafts = [one.draft for one in write.chunks]
    return DocumentDigest(
        document_uid=write.document_uid,
        revision=write.revision,
        generation=write.attributes.generation,
        chunk_count=len(drafts),
        digest=chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts),
    )


def _cosine(request: RankRequest, one: Chunk) -> float:
    if request.vector is None:
        return 0.0
    pairs = zip(request.vector.floats(), one.vector.floats(), strict=True)
    return round(sum(a * b for a, b in pairs), 6)


def _ranking(
    name: str, scores: dict[int, float], candidates: dict[int, Candidate], most: int
) -> Ranking:
    def order(place: int) -> tuple[float, str, int]:
        return -scores[place], candidates[place].document_id, candidates[place].ordinal

    places = sorted(scores, key=order)[:most]
    return Ranking(name, tuple(places), tuple(scores[place] for place in places))


def _matched(sentence: str, terms: Sequence[QueryTerm]) -> tuple[int, ...]:
    words = set(_words(sentence))
    return tuple(i for i, term in enumerate(terms) if term.text in words)
