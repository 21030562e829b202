"""The cache: losing an entry is never an error, serving one that is no longer true always is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from ragmesh.cache.ports import AnswerStore, HitStore, VectorStore
from ragmesh.core.answers import (
    AnswerStatus,
    CacheStats,
    Invalidation,
    ReadMark,
    StoredAnswer,
)
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import InvalidError
from ragmesh.core.search import Retrieval, StoredHits
from ragmesh.core.vectors import Vector


@dataclass(frozen=True, slots=True)
class CacheService:
    """Keeps complete grounded answers, hits of searches and vectors of texts."""

    answers: AnswerStore
    hits: HitStore
    vectors: VectorStore

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """The stored answer under this key, None when there is none that is still true."""
        entry = await self.answers.find(_owned_key(caller, key))
        return None if entry is None else replace(entry, key=key)

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep the answer; False when it is unfit, too old or overtaken by a change."""
        refuse_untagged(entry)
        if not worth_keeping(entry):
            return False
        return await self.answers.keep(replace(entry, key=_owned_key(caller, entry.key)))

    async def check_read(
        self,
        caller: Caller,  # noqa: ARG002 - uids say what was read, and give nothing of it away
        read: ReadMark,
    ) -> bool:
        """Whether an answer from this read would be served now; False when nobody can tell."""
        return await self.answers.holds(read)

    async def lookup_hits(self, caller: Caller, key: str) -> Retrieval | None:
        """The hits of the search with this key, None when there are none that are still true."""
        entry = await self.hits.find(_owned_key(caller, key))
        return None if entry is None else entry.retrieval

    async def store_hits(self, caller: Caller, entry: StoredHits) -> bool:
        """Keep the hits; False when they are degraded, too old or overtaken by a change."""
        if entry.retrieval.degraded:
            return False
        return await self.hits.keep(replace(entry, key=_owned_key(caller, entry.key)))

    async def invalidate(
        self,
        caller: Caller,  # noqa: ARG002 - who may call is the door's table; uids say what changed
        invalidations: Sequence[Invalidation],
    ) -> None:
        """Once this returns, nothing older than these changes is served or stored any more."""
        await self.answers.invalidate(invalidations)
        await self.hits.invalidate([widened(one) for one in invalidations])

    async def lookup_vectors(
        self, fingerprint: str, texts: Sequence[str]
    ) -> tuple[Vector | None, ...]:
        """The known vector of each text, in their order."""
        return await self.vectors.find([_vector_key(fingerprint, text) for text in texts])

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        """Keep the vector of each text."""
        if len(texts) != len(vectors):
            raise InvalidError.of("vectors", "must be as many as there are texts")
        keys = (_vector_key(fingerprint, text) for text in texts)
        await self.vectors.keep(tuple(zip(keys, vectors, strict=True)))

    async def get_stats(self) -> CacheStats:
        """What is held and what happened since the process started."""
        return CacheStats(
            answers=await self.answers.count(),
            hits=await self.hits.count(),
            vectors=await self.vectors.count(),
        )


def _owned_key(caller: Caller, key: str) -> str:
    """Nobody reads another tenant's entry, not even with its key."""
    owner = f"machine:{caller.name}" if isinstance(caller, Machine) else caller.tenant_uid
    return f"{owner}/{key}"


def widened(change: Invalidation) -> Invalidation:
    """The change as hits see it: what a search did not find counts as well as what it found."""
    return replace(change, document_uid="")


def refuse_untagged(entry: StoredAnswer) -> None:
    """Raise InvalidError for an answer that a change of a document it cites would not reach."""
    if not {citation.document_uid for citation in entry.answer.citations} <= set(entry.tags):
        raise InvalidError.of("tags", "must name every document that the answer cites")


def worth_keeping(entry: StoredAnswer) -> bool:
    """Only a complete answer with its evidence is worth giving again."""
    answer = entry.answer
    whole = answer.status is AnswerStatus.ANSWERED and not answer.degraded
    return whole and bool(answer.citations)


def _vector_key(fingerprint: str, text: str) -> str:
    # The digest keeps questions out of the store's keys.
    return f"{fingerprint}/{sha256(text.encode(errors='surrogatepass')).hexdigest()}"
