"""The reconciler compares what the catalog wants with what is, and repairs every difference.

It is level-triggered: it needs no event and believes none. What it finds it hands to the
worker as work, or removes; it never publishes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta

from ragmesh.core.clock import Clock
from ragmesh.core.errors import IndexVersionGoneError, RagmeshError
from ragmesh.core.index import DocumentDigest, Head
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.ports import BlobStore, ChunkIndex, Ledger
from ragmesh.indexing.records import IndexState, IndexVersion, Task, Work
from ragmesh.indexing.stages import INDEXER

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReconcilerLimits:
    """How often the reconciler looks, and how much at once."""

    pause_seconds: float = 60.0
    overdue_seconds: float = 900.0
    """A document that was relayed this long ago and has not ended is relayed again."""
    seconds_a_document: float = 0.006
    """A collection is compared again after a pause and this much for each of its documents."""
    blob_pause_seconds: float = 3_600.0
    """Between two looks at all blobs."""
    blob_grace_seconds: float = 3_600.0
    """A blob is written before the row that names it: younger ones are left alone."""
    rows: int = 1_000
    """Most rows of one page."""
    suspects: int = 10_000
    """Most differences of one collection looked into at a time; the rest waits for the next."""


@dataclass(slots=True)
class Repairs:
    """What one pass did."""

    relayed: int = 0
    """Documents put to the worker again."""
    made: int = 0
    """Index versions that the index did not know."""
    dropped: int = 0
    """Index versions of deleted collections."""
    rewritten: int = 0
    """Published documents whose chunks were missing or not the promised ones."""
    removed_chunks: int = 0
    """Chunks that no head names."""
    removed_blobs: int = 0
    skipped: int = 0
    """Index versions that could not be looked at; the log says why."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing was amiss."""
        return not any(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True, slots=True)
class _Pair:
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


class Reconciler:
    """Runs in one process; what it remembers only spares it work."""

    def __init__(
        self,
        ledger: Ledger,
        blobs: BlobStore,
        index: ChunkIndex,
        clock: Clock,
        limits: ReconcilerLimits | None = None,
    ) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._index = index
        self._clock = clock
        self._limits = limits or ReconcilerLimits()
        self._compare_at: dict[str, float] = {}
        self._blobs_at = 0.0
        self._is_first = True

    async def run(self) -> None:
        """Reconcile now and after every pause, until cancelled."""
        while True:
            try:
                repairs = await self.reconcile()
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                _log.warning("reconciling was broken off", extra={"reason": error.reason})
            else:
                if not repairs.is_idle:
                    counts = {one.name: getattr(repairs, one.name) for one in fields(repairs)}
                    _log.info("reconciled", extra=counts)
            await self._clock.sleep(self._limits.pause_seconds)

    async def reconcile(self) -> Repairs:
        """One pass; what was due is repaired, or with the worker, when it returns."""
        repairs = Repairs()
        await self._relay_overdue(repairs)
        versions = await self._versions()
        for version in sorted(versions, key=lambda version: (version.documents, version.uid)):
            try:
                await self._reconcile_version(version, repairs)
            except RagmeshError as error:
                # One broken index must not keep the others from being repaired.
                repairs.skipped += 1
                _log.warning(
                    "an index version was not reconciled",
                    extra={"index_version": version.uid, "reason": error.reason},
                )
        known = {version.uid for version in versions}
        self._compare_at = {uid: at for uid, at in self._compare_at.items() if uid in known}
        await self._sweep_blobs(repairs)
        return repairs

    # -- work that got lost -----------------------------------------------------

    async def _relay_overdue(self, repairs: Repairs) -> None:
        # Whatever was under way when the last process ended is taken up at once.
        patience = 0.0 if self._is_first else self._limits.overdue_seconds
        before = self._clock.now() - timedelta(seconds=patience)
        after = ""
        while True:
            pending = await self._ledger.list_pending(
                relayed_before=before, after_document_uid=after, limit=self._limits.rows
            )
            await self._ledger.relay_again(pending)
            repairs.relayed += len(pending)
            if len(pending) < self._limits.rows:
                break
            after = pending[-1].document_uid
        self._is_first = False

    # -- index versions ---------------------------------------------------------

    async def _versions(self) -> tuple[IndexVersion, ...]:
        found: list[IndexVersion] = []
        while True:
            after = found[-1].uid if found else ""
            page = await self._ledger.list_index_versions(after_uid=after, limit=self._limits.rows)
            found += page
            if len(page) < self._limits.rows:
                return tuple(found)

    async def _reconcile_version(self, version: IndexVersion, repairs: Repairs) -> None:
        match version.state:
            case IndexState.DROPPING:
                await self._index.drop_index(INDEXER, version.uid)
                await self._ledger.forget_index_version(version.uid)
                repairs.dropped += 1
            case IndexState.PROVISIONING:
                await self._make(version, repairs)
            case IndexState.SERVING if self._is_due(version):
                try:
                    await self._compare(version, repairs)
                except IndexVersionGoneError:
                    await self._make(version, repairs)
                    await self._compare(version, repairs)
                pause = self._limits.seconds_a_document * version.documents
                self._compare_at[version.uid] = (
                    self._clock.monotonic() + self._limits.pause_seconds + pause
                )
            case IndexState.SERVING:
                pass

    async def _make(self, version: IndexVersion, repairs: Repairs) -> None:
        await self._index.create_index(INDEXER, version.spec)
        await self._ledger.mark_serving(version.uid)
        repairs.made += 1

    def _is_due(self, version: IndexVersion) -> bool:
        # A hair early is on time: clocks round.
        return self._clock.monotonic() + 1.0 >= self._compare_at.get(version.uid, 0.0)

    # -- heads and chunks -------------------------------------------------------

    async def _compare(self, version: IndexVersion, repairs: Repairs) -> None:
        damaged: dict[str, Head] = {}
        looked_into = 0
        async for pair in self._pairs(version):
            if pair.head is not None and pair.is_damaged:
                damaged[pair.document_uid] = pair.head
            if pair.has_leftovers:
                looked_into += 1
                repairs.removed_chunks += await self._remove_leftovers(version, pair)
            if len(damaged) + looked_into >= self._limits.suspects:
                break
        if damaged:
            await self._rewrite(version, damaged, repairs)

    async def _rewrite(
        self, version: IndexVersion, suspects: dict[str, Head], repairs: Repairs
    ) -> None:
        """Have those written again that are damaged still, their heads unchanged."""
        # The page of the index may be older than that of the catalog: a publication in between
        # looks like damage. What the index holds now is newer than the heads in hand.
        held: dict[str, list[DocumentDigest]] = {}
        async for digest in self._digests(version):
            if digest.document_uid in suspects:
                held.setdefault(digest.document_uid, []).append(digest)
        for document_uid, head in suspects.items():
            pair = _Pair(document_uid, head, tuple(held.get(document_uid, ())))
            work = await self._ledger.work_of(version.uid, document_uid)
            if not pair.is_damaged or work is None or work.damaged:
                continue
            if await self._ledger.mark_damaged(version.uid, document_uid, head.digest):
                repairs.rewritten += 1

    async def _remove_leftovers(self, version: IndexVersion, pair: _Pair) -> int:
        work = await self._ledger.work_of(version.uid, pair.document_uid)
        newest = max(one.revision for one in pair.held)
        below = newest + 1 if work is None else _unwanted_below(work)
        if not any(one.revision < below for one in pair.held):
            return 0
        return await self._index.delete_chunks(
            INDEXER, version.uid, pair.document_uid, below_revision=below
        )

    async def _pairs(self, version: IndexVersion) -> AsyncIterator[_Pair]:
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
                yield _Pair(uid, head, tuple(held))
                head = await anext(heads, None)
            else:
                yield _Pair(uid, None, tuple(held))

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

    # -- blobs ------------------------------------------------------------------

    async def _sweep_blobs(self, repairs: Repairs) -> None:
        if self._clock.monotonic() < self._blobs_at:
            return
        self._blobs_at = self._clock.monotonic() + self._limits.blob_pause_seconds
        before = self._clock.now() - timedelta(seconds=self._limits.blob_grace_seconds)
        async for batch in self._blobs.list_blobs():
            repairs.removed_blobs += await self._remove_blobs(
                [blob.key for blob in batch if blob.stored_at < before]
            )

    async def _remove_blobs(self, keys: Sequence[str]) -> int:
        if not keys:
            return 0
        unused = sorted(await self._ledger.unreferenced_blobs(keys))
        await self._blobs.delete_blobs(unused)
        return len(unused)


def _unwanted_below(work: Work) -> int:
    """Revisions below this one will never be published; those from it on may be under way."""
    if work.head is None and not work.deleted and work.task is Task.NOTHING:
        return work.revision + 1  # given up or cancelled before anything was published
    return work.revision if work.deleted else work.head_revision
