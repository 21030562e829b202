"""Compares the catalog with the stored files: what nobody names goes, what is damaged is told.

A stored text can be extracted again from its file. A file cannot be brought back: its document
FAILED then, with a reason, until it is uploaded again; what is published of it stays searchable.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from ragmesh.core.clock import Clock
from ragmesh.core.errors import UnavailableError
from ragmesh.indexing.ports import BlobStore, Ledger
from ragmesh.indexing.records import StoredRevision
from ragmesh.indexing.repairs import ReconcilerLimits, Repairs

_READ_AT_ONCE = 16
_log = logging.getLogger(__name__)


class BlobCare:
    """Looks at all stored files now and then; remembers how far it has read them."""

    def __init__(
        self, ledger: Ledger, blobs: BlobStore, clock: Clock, limits: ReconcilerLimits
    ) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._clock = clock
        self._limits = limits
        self._due_at = 0.0
        self._looked_at = clock.now(), clock.monotonic()
        self._read_from = clock.monotonic() + limits.read_after_seconds
        self._read_after = ("", 0)

    async def look(self, repairs: Repairs) -> None:
        """Sweep and check, if a look is due."""
        if self._clock.monotonic() < self._due_at:
            return
        self._due_at = self._clock.monotonic() + self._limits.blob_pause_seconds
        looks = [self._sweep, self._find_missing]
        if self._clock.monotonic() >= self._read_from:
            looks.append(self._find_damaged)
        for look in looks:
            try:
                await look(repairs)
            except UnavailableError as error:
                # A store that fails at one place must not keep the rest from being mended.
                repairs.skipped += 1
                _log.warning("stored files were not looked at", extra={"reason": error.message})

    async def _sweep(self, repairs: Repairs) -> None:
        before = self._latest() - timedelta(seconds=self._limits.blob_grace_seconds)
        async for batch in self._blobs.list_blobs():
            old = [blob.key for blob in batch if blob.stored_at < before]
            unused = sorted(await self._ledger.unreferenced_blobs(old)) if old else []
            await self._blobs.delete_blobs(unused)
            repairs.removed_blobs += len(unused)

    def _latest(self) -> datetime:
        """The time of day, less what it has jumped forward since the last look.

        A clock that is set, or a machine that slept, must not make a file look old whose upload is
        still under way.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        (then, ran), self._looked_at = self._looked_at, (now, monotonic)
        return min(now, then + timedelta(seconds=monotonic - ran))

    async def _find_missing(self, repairs: Repairs) -> None:
        """Look whether every file that a revision names is there."""
        after = ("", 0)
        while True:
            page = await self._ledger.list_stored(after=after, limit=self._limits.rows)
            keys = [key for one in page for key in (one.source_blob, one.text_blob) if key]
            missing = await self._blobs.missing_blobs(keys)
            for stored in page:
                await self._judge(
                    stored,
                    repairs,
                    file_lost=stored.source_blob in missing,
                    text_lost=stored.text_blob in missing,
                )
            if len(page) < self._limits.rows:
                return
            after = page[-1].place

    async def _find_damaged(self, repairs: Repairs) -> None:
        """Read some more of the files, and compare them with what was stored."""
        left = self._limits.checked_bytes
        while left > 0:
            page = await self._ledger.list_stored(after=self._read_after, limit=_READ_AT_ONCE)
            await self._read(page, repairs)
            left -= sum(stored.size_bytes for stored in page)
            if len(page) < _READ_AT_ONCE:
                self._read_after = ("", 0)
                return
            self._read_after = page[-1].place

    async def _read(self, page: Sequence[StoredRevision], repairs: Repairs) -> None:
        files = await self._blobs.digest_blobs([stored.source_blob for stored in page])
        texts = await self._blobs.digest_blobs([stored.text_blob or "" for stored in page])
        for stored, file, text in zip(page, files, texts, strict=True):
            known = bool(stored.text_blob and stored.text_sha256)
            await self._judge(
                stored,
                repairs,
                file_lost=file is not None and file != stored.content_sha256,
                text_lost=known and text is not None and text != stored.text_sha256,
            )

    async def _judge(
        self, stored: StoredRevision, repairs: Repairs, *, file_lost: bool, text_lost: bool
    ) -> None:
        if text_lost and stored.text_blob is not None:
            repairs.reread += await self._ledger.forget_text(stored, stored.text_blob)
        if file_lost and stored.is_current:
            repairs.failed += await self._ledger.lose_file(stored)
        elif file_lost:
            repairs.lost += 1
