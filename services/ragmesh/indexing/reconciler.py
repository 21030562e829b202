"""The reconciler compares what the catalog wants with what is, and repairs every difference.

It is level-triggered: it needs no event and believes none. What it finds it hands to the
worker as work, or removes; it never publishes.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from ragmesh.core.clock import Clock
from ragmesh.core.errors import IndexDamagedError, IndexVersionGoneError, RagmeshError
from ragmesh.core.mending import Repaired
from ragmesh.indexing.blob_care import BlobCare
from ragmesh.indexing.comparing import Comparison
from ragmesh.indexing.ports import BlobStore, ChunkIndex, Ledger
from ragmesh.indexing.records import IndexState, IndexVersion, SizedVersion
from ragmesh.indexing.repairs import ReconcilerLimits, Repairs
from ragmesh.indexing.stages import INDEXER

_log = logging.getLogger(__name__)

__all__ = ["Reconciler", "ReconcilerLimits", "Repairs"]


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
        self._index = index
        self._clock = clock
        self._limits = limits or ReconcilerLimits()
        self._comparison = Comparison(ledger, index, self._limits)
        self._blob_care = BlobCare(ledger, blobs, clock, self._limits)
        self._compare_at: dict[str, float] = {}
        self._turn = asyncio.Lock()
        """Held while something is compared: by the loop, or by whoever asks for it."""
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
                    _log.info("reconciled", extra=repairs.counts)
            await self._clock.sleep(self._limits.pause_seconds)

    async def reconcile(self) -> Repairs:
        """One pass; what was due is repaired, or with the worker, when it returns."""
        async with self._turn:
            return await self._reconcile()

    async def repair(self, collection_uid: str) -> Repaired:
        """Compare the index of one collection now, whenever it was due."""
        repairs, compared, different = Repairs(), 0, 0
        async with self._turn:
            for version in await self._ledger.index_versions_of(collection_uid):
                found = await self._bring_up(version, repairs)
                compared, different = compared + found.compared, different + found.different
        return Repaired(compared, different)

    async def _reconcile(self) -> Repairs:
        repairs = Repairs()
        await self._relay_overdue(repairs)
        versions = await self._versions()
        for sized in sorted(versions, key=lambda sized: (sized.documents, sized.version.uid)):
            version = sized.version
            try:
                await self._reconcile_version(sized, repairs)
            except RagmeshError as error:
                # One broken index must not keep the others from being repaired.
                repairs.skipped += 1
                _log.warning(
                    "an index version was not reconciled",
                    extra={"index_version": version.uid, "reason": error.reason},
                )
        known = {sized.version.uid for sized in versions}
        self._compare_at = {uid: at for uid, at in self._compare_at.items() if uid in known}
        await self._blob_care.look(repairs)
        await self._forget(repairs)
        return repairs

    # -- work that got lost -----------------------------------------------------

    async def _relay_overdue(self, repairs: Repairs) -> None:
        limits = self._limits
        patience = limits.first_overdue_seconds if self._is_first else limits.overdue_seconds
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

    async def _versions(self) -> tuple[SizedVersion, ...]:
        found: list[SizedVersion] = []
        while True:
            after = found[-1].version.uid if found else ""
            page = await self._ledger.list_index_versions(after_uid=after, limit=self._limits.rows)
            found += page
            if len(page) < self._limits.rows:
                return tuple(found)

    async def _reconcile_version(self, sized: SizedVersion, repairs: Repairs) -> None:
        version = sized.version
        match version.state:
            case IndexState.DROPPING:
                await self._index.drop_index(INDEXER, version.uid)
                await self._ledger.forget_index_version(version.uid)
                repairs.dropped += 1
            case IndexState.PROVISIONING:
                await self._make(version, repairs)
            case IndexState.SERVING if self._is_due(version):
                await self._bring_up(version, repairs)
                pause = self._limits.seconds_a_document * sized.documents
                self._compare_at[version.uid] = (
                    self._clock.monotonic() + self._limits.pause_seconds + pause
                )
            case IndexState.SERVING:
                pass

    async def _bring_up(self, version: IndexVersion, repairs: Repairs) -> Repaired:
        """Compare; an index version that is lost or damaged is made anew and filled again."""
        try:
            return await self._comparison.compare(version, repairs)
        except (IndexVersionGoneError, IndexDamagedError) as error:
            _log.warning(
                "an index version is made anew",
                extra={"index_version": version.uid, "reason": error.reason},
            )
            await self._make(version, repairs)
            return await self._comparison.compare(version, repairs)

    async def _make(self, version: IndexVersion, repairs: Repairs) -> None:
        await self._index.create_index(INDEXER, version.spec)
        await self._ledger.mark_serving(version.uid)
        repairs.made += 1

    def _is_due(self, version: IndexVersion) -> bool:
        # A hair early is on time: clocks round.
        return self._clock.monotonic() + 1.0 >= self._compare_at.get(version.uid, 0.0)

    # -- what has ended ---------------------------------------------------------

    async def _forget(self, repairs: Repairs) -> None:
        """Forget jobs, dead letters and deleted content whose time is over, a page a pass."""
        now = self._clock.now()
        repairs.erased += await self._ledger.erase_deleted(
            deleted_before=now - timedelta(seconds=self._limits.deleted_seconds),
            limit=self._limits.rows,
        )
        repairs.forgotten += await self._ledger.forget_ended(
            jobs_before=now - timedelta(seconds=self._limits.job_seconds),
            letters_before=now - timedelta(seconds=self._limits.dead_letter_seconds),
            limit=self._limits.rows,
        )
        repairs.forgotten += await self._ledger.forget_records(
            default_days=self._limits.record_days, limit=10 * self._limits.rows
        )
