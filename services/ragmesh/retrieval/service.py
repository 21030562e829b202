"""Writes chunks into index versions and finds the ones that answer a question."""

from __future__ import annotations

import array
import asyncio
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    FingerprintMismatchError,
    IndexDamagedError,
    IndexVersionGoneError,
    InvalidError,
    InvalidVectorError,
    StoreDamagedError,
    UnavailableError,
    Violation,
)
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.questions import parse_limit
from ragmesh.core.search import Retrieval, RetrieveQuery, SearchMode
from ragmesh.core.vectors import Fingerprint, Lane, Vector, made_for
from ragmesh.retrieval.choosing import Chooser, most_looked_at
from ragmesh.retrieval.follower import HeadsFollower
from ragmesh.retrieval.fusion import EQUAL, FOREIGN, FusedCandidate, explained, fuse
from ragmesh.retrieval.ports import (
    Embedder,
    HeadsSource,
    RankRequest,
    VectorIndex,
)
from ragmesh.retrieval.reranking import Reranking
from ragmesh.retrieval.wording import Wording

_log = logging.getLogger(__name__)
QUESTION_CUT = "QUESTION_CUT"
"""Marks an answer to a question whose end did not fit into the encoder's window."""
EMBEDDING_UNAVAILABLE = "EMBEDDING_UNAVAILABLE"
"""Degraded: the question could not be embedded, and was searched for by its words alone."""
INDEX_INCOMPLETE = "INDEX_INCOMPLETE"
"""Marks an answer of an index that lacks chunks of published documents; they are written again."""
MAX_CANDIDATES = 1_000
"""Most candidates of one ranking; a search looks no further."""
_OFF_LOOP_CHUNKS = 500
"""More of them are looked at in a thread, so that questions do not wait meanwhile."""
_FEWEST_CANDIDATES = 100
_REBUILT_IN_SECONDS = 5.0
_CANDIDATES_PER_HIT = 3


@dataclass(frozen=True, slots=True)
class RetrievalService:
    """The index as the mesh sees it: what is written, what is visible, what is found."""

    embedder: Embedder
    index: VectorIndex
    follower: HeadsFollower
    clock: Clock
    reranking: Reranking | None = None
    """What reorders the best candidates; None = their fused order is the last word."""

    async def follow(self, heads: HeadsSource) -> None:
        """Keep every index version up to date with the published heads, until cancelled."""
        await self.follower.run(heads)

    async def create_index(self, caller: Caller, spec: IndexSpec) -> None:
        """Make an empty index version; the same spec again changes nothing.

        One that is damaged is set aside and made anew; its heads are heard from the beginning.
        """
        _refuse_foreigner(caller, spec)
        if await self.index.create(spec):
            self.follower.end(spec.index_version_uid)  # whoever was heard before is not there now
        self.follower.begin(spec.index_version_uid)

    async def drop_index(self, caller: Caller, index_version_uid: str) -> None:
        """Remove an index version with all it holds; one that is not there is no error."""
        try:
            await self._spec(caller, index_version_uid)
        except IndexVersionGoneError:
            return
        except IndexDamagedError:
            # Whose it is cannot be read any more: only the mesh itself may clear it away.
            if not isinstance(caller, Machine):
                raise
        self.follower.end(index_version_uid)
        await self.index.drop(index_version_uid)

    async def write_chunks(self, caller: Caller, write: DocumentWrite) -> DocumentDigest:
        """Keep a revision's chunks: durable and searchable, visible once a head names them."""
        spec = await self._spec(caller, write.index_version_uid)
        _require_fingerprint(spec, write.fingerprint)
        if len(write.chunks) > _OFF_LOOP_CHUNKS:
            await asyncio.to_thread(_validate_chunks, write.chunks, spec.fingerprint.dimension)
        else:
            _validate_chunks(write.chunks, spec.fingerprint.dimension)
        with _sound(write.index_version_uid):
            return await self.index.write(write)

    async def update_attributes(self, caller: Caller, write: AttributesWrite) -> None:
        """Give a revision's chunks new attributes, unless they have later ones."""
        await self._spec(caller, write.index_version_uid)
        with _sound(write.index_version_uid):
            await self.index.update_attributes(write)

    async def delete_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were."""
        await self._spec(caller, index_version_uid)
        with _sound(index_version_uid):
            return await self.index.delete(
                index_version_uid, document_uid, below_revision=below_revision
            )

    async def list_document_digests(
        self, caller: Caller, index_version_uid: str, page: PageRequest
    ) -> Page[DocumentDigest]:
        """What the index holds of each revision, for comparison with the catalog."""
        await self._spec(caller, index_version_uid)
        with _sound(index_version_uid):
            return await self.index.list_digests(index_version_uid, page)

    async def read_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision with its vectors, by ordinal; nothing when it is not held."""
        await self._spec(caller, index_version_uid)
        with _sound(index_version_uid):
            return await self.index.read_chunks(index_version_uid, document_uid, revision)

    async def describe_index(self, caller: Caller, index_version_uid: str) -> IndexDescription:
        """The index version as it stands."""
        await self._spec(caller, index_version_uid)
        with _sound(index_version_uid):
            return await self.index.describe(index_version_uid)

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """The chunks that answer the question best, all of one moment of the index version."""
        parse_limit(query.limit)
        spec = await self._spec(caller, query.index_version_uid)
        if spec.collection_uid != query.collection_uid:
            raise IndexVersionGoneError.of(query.index_version_uid)
        watch = _Stopwatch(self.clock)
        stale = await self.follower.trust(
            query.index_version_uid, restricted=spec.default_restricted
        )
        embedded = await self._embed(query, spec)
        watch.lap("embed")
        found = await self._search(caller, query, embedded, watch)
        return replace(found, degraded=(*stale, *found.degraded))

    async def _search(
        self, caller: Caller, query: RetrieveQuery, embedded: _Embedded, watch: _Stopwatch
    ) -> Retrieval:
        request = RankRequest(
            caller=caller,
            wording=_wording(query),
            vector=embedded.vector,
            keyword=query.mode is not SearchMode.DENSE,
            filter=query.filter,
            candidates=candidates_for(query.limit),
        )
        with _sound(query.index_version_uid):
            async with self.index.read(query.index_version_uid) as view:
                ranked = await view.rank(request)
                fused = fuse(
                    ranked.rankings,
                    ranked.candidates,
                    embedded.weights,
                    wanted=most_looked_at(query.limit, self.reranking),
                )
                if query.explain:
                    fused = explained(fused)
                watch.lap("rank")
                chooser = Chooser(view, query, ranked.terms)
                candidates, marks = await self._reranked(chooser, fused, watch)
                hits = await chooser.hits(candidates)
                sequence = view.heads_sequence
                missing = (INDEX_INCOMPLETE,) if view.missing_documents else ()
        watch.lap("load")
        return Retrieval(
            hits=hits,
            index_version_uid=query.index_version_uid,
            heads_sequence=sequence,
            query_vector=embedded.vector,
            fingerprint=embedded.spec.fingerprint,
            terms=ranked.terms,
            degraded=(*embedded.degraded, *marks, *missing),
            timings_ms=watch.laps(),
        )

    async def _reranked(
        self, chooser: Chooser, fused: Sequence[FusedCandidate], watch: _Stopwatch
    ) -> tuple[Sequence[FusedCandidate], tuple[str, ...]]:
        """The candidates in the order of the reranker, if there is one."""
        if self.reranking is None:
            return fused, ()
        ordered = await chooser.reranked(fused, self.reranking)
        watch.lap("rerank")
        return ordered

    async def _embed(self, query: RetrieveQuery, spec: IndexSpec) -> _Embedded:
        """The question with its vector, if the mode needs one."""
        if query.mode is SearchMode.KEYWORD:
            return _Embedded(spec, None, (), EQUAL)
        try:
            embeddings = await self.embedder.embed_texts(
                [query.question.text], encoder=spec.encoder, lane=Lane.QUERY
            )
        except UnavailableError as error:
            if query.mode is SearchMode.DENSE:
                raise
            _log.warning("a search goes by words alone", extra={"reason": error.reason})
            return _Embedded(spec, None, (EMBEDDING_UNAVAILABLE,), EQUAL)
        _require_fingerprint(spec, embeddings.fingerprint)
        return _Embedded(
            spec,
            embeddings.vectors[0],
            degraded=(QUESTION_CUT,) if embeddings.cut_tokens[0] else (),
            weights=EQUAL if made_for(embeddings.languages, spec.language) else FOREIGN,
        )

    async def _spec(self, caller: Caller, index_version_uid: str) -> IndexSpec:
        with _sound(index_version_uid):
            spec = await self.index.get_spec(index_version_uid)
        _refuse_foreigner(caller, spec)
        return spec


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A question made ready for an index version."""

    spec: IndexSpec
    vector: Vector | None
    degraded: tuple[str, ...]
    weights: Mapping[str, float]
    """What each ranking counts."""


class _Stopwatch:
    """Names the stages of a search and how long each took."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._names: list[str] = []
        self._moments = [clock.monotonic()]

    def lap(self, name: str) -> None:
        self._names.append(name)
        self._moments.append(self._clock.monotonic())

    def laps(self) -> tuple[tuple[str, float], ...]:
        spent = (1_000 * (end - start) for start, end in pairwise(self._moments))
        return tuple(zip(self._names, spent, strict=True))


def candidates_for(limit: int) -> int:
    """How many candidates each ranking gives, so that fusion has something to choose from."""
    return min(MAX_CANDIDATES, max(_FEWEST_CANDIDATES, _CANDIDATES_PER_HIT * limit))


def _wording(query: RetrieveQuery) -> Wording:
    """A keyword search may name phrases and fields; prose puts quotation marks to other uses."""
    if query.mode is SearchMode.KEYWORD:
        return Wording.parse(query.question.text)
    return Wording(query.question.text)


def _refuse_foreigner(caller: Caller, spec: IndexSpec) -> None:
    """An index version of another tenant does not exist for the caller."""
    if isinstance(caller, Principal) and caller.tenant_uid != spec.tenant_uid:
        raise IndexVersionGoneError.of(spec.index_version_uid)


@contextmanager
def _sound(index_version_uid: str) -> Iterator[None]:
    """Say of a damaged index version that it is away: it is not the caller's fault, and passes."""
    try:
        yield
    except StoreDamagedError as error:
        raise IndexDamagedError(
            "the index version is damaged; it is made anew from the stored texts",
            metadata={"index_version": index_version_uid},
            retry_after_seconds=_REBUILT_IN_SECONDS,
        ) from error


def _require_fingerprint(spec: IndexSpec, fingerprint: Fingerprint) -> None:
    if fingerprint != spec.fingerprint:
        raise FingerprintMismatchError(
            "the vectors are of another encoder than those of the index version",
            metadata={"expected": spec.fingerprint.digest, "offered": fingerprint.digest},
        )


def _validate_chunks(chunks: Sequence[Chunk], dimension: int) -> None:
    """Refuse what no store may hold: gaps, wrong dimensions, numbers that are none."""
    for position, chunk in enumerate(chunks):
        if chunk.draft.ordinal != position:
            raise InvalidError.of(f"chunks[{position}].ordinal", "must count up from 0")
        _validate_vector(chunk.vector, dimension, f"chunks[{position}].vector")
        sentences = chunk.sentence_vectors
        if sentences is not None and (
            sentences.dimension != dimension or sentences.count != len(chunk.draft.sentences)
        ):
            raise _invalid_vector(
                f"chunks[{position}].sentence_vectors",
                f"must be one row of {dimension} numbers a sentence",
            )


def _validate_vector(vector: Vector, dimension: int, field: str) -> None:
    if vector.dimension != dimension:
        raise _invalid_vector(field, f"must have {dimension} numbers, has {vector.dimension}")
    numbers = array.array("f", vector.values)
    # NaN and infinity survive every sum; finite float32 values cannot overflow a double.
    if not math.isfinite(sum(numbers)):
        raise _invalid_vector(field, "must hold finite numbers only")


def _invalid_vector(field: str, message: str) -> InvalidVectorError:
    return InvalidVectorError(
        f"{field} {message}", violations=[Violation(field, message)], metadata={"field": field}
    )
