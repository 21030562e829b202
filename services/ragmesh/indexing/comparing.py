"""Compares the heads of the catalog with the chunks of the index, page beside page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragmesh.core.index import DocumentDigest, Head
from ragmesh.core.mending import Repaired
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.ports import ChunkIndex, Ledger
from ragmesh.indexing.records import IndexVersion, Task, Work
from ragmesh.indexing.repairs import ReconcilerLimits, Repairs
from ragmesh.indexing.stages import INDEXER


@dataclass(frozen=True, slots=True)
class Pair:
    """A document in the catalog and in the index, as far as either knows it."""

    document_uid: str
    head: Head | None
    held: tuple[DocumentDigest, ...]

    @property
    def is_damaged(self) -> bool:
        """Whether the index lacks what the head promises."""
        head = self.head
        if head is None or head.deleted:
            return False
        return not any(
            (one.revision, one.digest, one.chunk_count)
            == (head.revision, head.digest, head.chunk_count)
            and one.generation >= head.generation
            for one in self.held
        )

    @property
    def has_leftovers(self) -> bool:
        """Whether the index holds revisions that the head does not name."""
        named = 0 if self.head is None else self.head.revision
        return any(one.revision != named for one in self.held)


class Comparison:
    """Finds what the index lacks or holds too much of."""

    def __init__(self, ledger: Ledger, index: ChunkIndex, limits: ReconcilerLimits) -> None:
        self._ledger = ledger
        self._index = index
        self._limits = limits

    async def compare(self, version: IndexVersion, repairs: Repairs) -> Repaired:
        """Look at every document of the index version; differences are counted in `repairs`."""
        damaged: dict[str, Head] = {}
        compared, littered = 0, 0
        async for pair in self.pairs(version):
            compared += 1
            if pair.head is not None and pair.is_damaged:
                damaged[pair.document_uid] = pair.head
            if pair.has_leftovers:
                removed = await self._remove_leftovers(version, pair)
                repairs.removed_chunks += removed
                littered += bool(removed)
            if len(damaged) + littered >= self._limits.suspects:
                break
        rewritten = await self._rewrite(version, damaged) if damaged else 0
        repairs.rewritten += rewritten
        return Repaired(compared, rewritten + littered)

    async def _rewrite(self, version: IndexVersion, suspects: dict[str, Head]) -> int:
        """Have those written again that are damaged still, their heads unchanged; how many."""
        # The page of the index may be older than that of the catalog: a publication in between
        # looks like damage. What the index holds now is newer than the heads in hand.
        held: dict[str, list[DocumentDigest]] = {}
        async for digest in self._digests(version):
            if digest.document_uid in suspects:
                held.setdefault(digest.document_uid, []).append(digest)
        rewritten = 0
        for document_uid, head in suspects.items():
            pair = Pair(document_uid, head, tuple(held.get(document_uid, ())))
            work = await self._ledger.work_of(version.uid, document_uid)
            if not pair.is_damaged or work is None or work.damaged:
                continue
            rewritten += await self._ledger.mark_damaged(version.uid, document_uid, head.digest)
        return rewritten

    async def _remove_leftovers(self, version: IndexVersion, pair: Pair) -> int:
        work = await self._ledger.work_of(version.uid, pair.document_uid)
        newest = max(one.revision for one in pair.held)
        below = newest + 1 if work is None else _unwanted_below(work)
        if not any(one.revision < below for one in pair.held):
            return 0
        return await self._index.delete_chunks(
            INDEXER, version.uid, pair.document_uid, below_revision=below
        )

    async def pairs(self, version: IndexVersion) -> AsyncIterator[Pair]:
        """Every document that catalog or index knows, in order of uid."""
        heads, digests = self._heads(version), self._digests(version)
        head, digest = await anext(heads, None), await anext(digests, None)
        while head is not None or digest is not None:
            uid = min(one.document_uid for one in (head, digest) if one is not None)
            held: list[DocumentDigest] = []
            while digest is not None and digest.document_uid == uid:
                held.append(digest)
                digest = await anext(digests, None)
            if head is not None and head.document_uid == uid:
                yield Pair(uid, head, tuple(held))
                head = await anext(heads, None)
            else:
                yield Pair(uid, None, tuple(held))

    async def _heads(self, version: IndexVersion) -> AsyncIterator[Head]:
        after = ""
        while True:
            page = await self._ledger.list_heads(
                version.uid, after_document_uid=after, limit=self._limits.rows
            )
            for head in page:
                yield head
            if len(page) < self._limits.rows:
                return
            after = page[-1].document_uid

    async def _digests(self, version: IndexVersion) -> AsyncIterator[DocumentDigest]:
        token = ""
        while True:
            page = await self._index.list_document_digests(
                INDEXER, version.uid, PageRequest(self._limits.rows, token)
            )
            for digest in page.items:
                yield digest
            token = page.next_token
            if not token:
                return


def _unwanted_below(work: Work) -> int:
    """Revisions below this one will never be published; those from it on may be under way."""
    if work.head is None and not work.deleted and work.task is Task.NOTHING:
        return work.revision + 1  # given up or cancelled before anything was published
    return work.revision if work.deleted else work.head_revision
