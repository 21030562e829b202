"""Verifies that a candidate holds exactly what the primary shows, by counts and by digests."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.errors import IndexDamagedError, IndexVersionGoneError
from ragmesh.indexing.comparing import Comparison, Pair
from ragmesh.indexing.migration_state import SOUND
from ragmesh.indexing.ports import ChunkIndex
from ragmesh.indexing.records import IndexVersion
from ragmesh.indexing.stages import INDEXER

CANDIDATE_EMPTY = "CANDIDATE_EMPTY"
CANDIDATE_PARTIAL = "CANDIDATE_PARTIAL"
CANDIDATE_LOST = "CANDIDATE_LOST"
CANDIDATE_FOREIGN = "CANDIDATE_FOREIGN"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: SOUND, or a reason with its sentence."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Reads the index itself: what the catalog believes of it is what is verified."""

    index: ChunkIndex
    comparison: Comparison

    async def verify(self, version: IndexVersion) -> Finding:
        """Whether the version can answer questions in the place of the primary."""
        try:
            described = await self.index.describe_index(INDEXER, version.uid)
            if described.fingerprint != version.fingerprint:
                return Finding(CANDIDATE_FOREIGN, "the candidate holds vectors of another encoder")
            counted = await self._count(version)
        except (IndexVersionGoneError, IndexDamagedError) as error:
            return Finding(CANDIDATE_LOST, f"the index cannot read the candidate ({error.reason})")
        if counted.differing:
            # A document that moves between two reads looks like a difference; it is gone now.
            again = await self._count(version)
            counted = _Count(again.documents, again.held, counted.differing & again.differing)
        return _judged(counted)

    async def _count(self, version: IndexVersion) -> _Count:
        documents, held = 0, 0
        differing: set[str] = set()
        async for pair in self.comparison.pairs(version):
            is_live = pair.head is not None and not pair.head.deleted
            documents += is_live
            held += bool(pair.held)
            # What is held beside the heads is no difference: nobody sees it, a removal that is owed
            # is waited for before the promotion, and a write under way is not published yet.
            if pair.is_damaged:
                differing.add(_mark(pair))
        return _Count(documents, held, frozenset(differing))


@dataclass(frozen=True, slots=True)
class _Count:
    documents: int
    held: int
    differing: frozenset[str]


def _mark(pair: Pair) -> str:
    """The document in the state in which it differs."""
    sequence = 0 if pair.head is None else pair.head.sequence
    return f"{pair.document_uid} {sequence}"


def _judged(counted: _Count) -> Finding:
    if counted.documents and not counted.held:
        return Finding(
            CANDIDATE_EMPTY, f"the candidate holds none of {counted.documents} documents"
        )
    if counted.differing:
        return Finding(
            CANDIDATE_PARTIAL,
            f"{len(counted.differing)} of {counted.documents} documents are not in the candidate "
            "as they must be",
        )
    return Finding(SOUND)
