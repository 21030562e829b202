"""The ledger: the catalog as the pipeline sees it, with followers and watchers told in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ragmesh.core.documents import Failure, JobState, Stage
from ragmesh.core.errors import JobCancelledError, SupersededError
from ragmesh.core.index import Head
from ragmesh.core.mending import Origin
from ragmesh.indexing.heads import HeadFeed
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.records import (
    Backlog,
    Extracted,
    IndexVersion,
    OutboxRow,
    PendingDocument,
    Publication,
    SizedVersion,
    StoredRevision,
    Work,
)
from ragmesh.indexing.stores import Catalog


@dataclass(frozen=True, slots=True)
class CatalogLedger:
    """Satisfies `ports.Ledger`; a publication returns once its followers have applied it."""

    catalog: Catalog
    feed: HeadFeed
    board: JobBoard

    async def take_outbox(self, *, limit: int, window: int) -> tuple[OutboxRow, ...]:
        """See `ports.Outbox`."""
        return await self.catalog.take_outbox(limit=limit, window=window)

    async def settle_outbox(self, rows: Sequence[OutboxRow]) -> None:
        """See `ports.Outbox`."""
        await self.catalog.settle_outbox(rows)

    async def release_outbox(self) -> None:
        """See `ports.Outbox`."""
        await self.catalog.release_outbox()

    async def outbox_filled(self) -> None:
        """See `ports.Outbox`."""
        await self.catalog.outbox_filled()

    async def get_backlog(self) -> Backlog:
        """See `ports.Outbox`."""
        return await self.catalog.get_backlog()

    async def index_versions_of(self, collection_uid: str) -> tuple[IndexVersion, ...]:
        """See `ports.WorkLedger`."""
        return await self.catalog.index_versions_of(collection_uid)

    async def work_of(self, index_version_uid: str, document_uid: str) -> Work | None:
        """See `ports.WorkLedger`."""
        return await self.catalog.work_of(index_version_uid, document_uid)

    async def start_job(self, work: Work) -> None:
        """See `ports.WorkLedger`."""
        outcome = await self.catalog.start_job(work)
        self.board.changed(outcome.jobs)

    async def report_stage(
        self, work: Work, stage: Stage, percent: int, timings_ms: tuple[tuple[str, float], ...]
    ) -> None:
        """See `ports.WorkLedger`."""
        if work.job_id is None:
            return
        if self.board.is_cancelled(work.job_id):
            raise JobCancelledError("the job was cancelled")
        if self.board.report(work.job_id, stage, percent, timings_ms):
            state = await self.catalog.save_progress(work.job_id, stage, percent, timings_ms)
            if state is JobState.CANCELLED:
                raise JobCancelledError("the job was cancelled")

    async def record_extraction(self, work: Work, extracted: Extracted) -> Work:
        """See `ports.WorkLedger`."""
        found = await self.catalog.record_extraction(work, extracted)
        wanted = (work.revision, work.generation)
        if found is None or (found.revision, found.generation) != wanted:
            raise SupersededError("a newer state of the document is wanted")
        return found

    async def publish(self, publication: Publication) -> Head:
        """See `ports.WorkLedger`."""
        async with self.feed.publication() as moved:
            store = self.catalog
            publish = store.publish_follower if publication.follows else store.publish
            head, outcome = await publish(publication)
            moved(outcome.moves)
        self.board.changed(outcome.jobs)
        return head

    async def settle_follower(self, work: Work) -> None:
        """See `ports.WorkLedger`."""
        await self.catalog.settle_follower(work)

    async def fail_follower(
        self, work: Work, failure: Failure, *, most_attempts: int | None
    ) -> None:
        """See `ports.WorkLedger`."""
        await self.catalog.fail_follower(work, failure, most_attempts=most_attempts)

    async def complete_removal(self, work: Work) -> None:
        """See `ports.WorkLedger`."""
        outcome = await self.catalog.complete_removal(work)
        self.board.changed(outcome.jobs)

    async def fail(self, work: Work, failure: Failure, *, origin: Origin, attempts: int) -> None:
        """See `ports.WorkLedger`."""
        outcome = await self.catalog.fail(work, failure, origin=origin, attempts=attempts)
        self.board.changed(outcome.jobs)

    async def list_index_versions(
        self, *, after_uid: str = "", limit: int = 100
    ) -> tuple[SizedVersion, ...]:
        """See `ports.Repairs`."""
        return await self.catalog.list_index_versions(after_uid=after_uid, limit=limit)

    async def mark_serving(self, index_version_uid: str) -> None:
        """See `ports.Repairs`."""
        await self.catalog.mark_serving(index_version_uid)

    async def forget_index_version(self, index_version_uid: str) -> None:
        """See `ports.Repairs`."""
        await self.catalog.forget_index_version(index_version_uid)

    async def list_heads(
        self, index_version_uid: str, *, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[Head, ...]:
        """See `ports.Repairs`."""
        return await self.catalog.list_heads(
            index_version_uid, after_document_uid=after_document_uid, limit=limit
        )

    async def list_pending(
        self, *, relayed_before: datetime, after_document_uid: str = "", limit: int = 1_000
    ) -> tuple[PendingDocument, ...]:
        """See `ports.Repairs`."""
        return await self.catalog.list_pending(
            relayed_before=relayed_before, after_document_uid=after_document_uid, limit=limit
        )

    async def relay_again(self, documents: Sequence[PendingDocument]) -> None:
        """See `ports.Repairs`."""
        await self.catalog.relay_again(documents)

    async def mark_damaged(self, index_version_uid: str, document_uid: str, digest: str) -> bool:
        """See `ports.Repairs`."""
        return await self.catalog.mark_damaged(index_version_uid, document_uid, digest)

    async def unreferenced_blobs(self, keys: Sequence[str]) -> frozenset[str]:
        """See `ports.Repairs`."""
        return await self.catalog.unreferenced_blobs(keys)

    async def list_stored(
        self, *, after: tuple[str, int] = ("", 0), limit: int = 1_000
    ) -> tuple[StoredRevision, ...]:
        """See `ports.Repairs`."""
        return await self.catalog.list_stored(after=after, limit=limit)

    async def forget_text(self, stored: StoredRevision, text_blob: str) -> bool:
        """See `ports.Repairs`."""
        return await self.catalog.forget_text(stored, text_blob)

    async def lose_file(self, stored: StoredRevision) -> bool:
        """See `ports.Repairs`."""
        return await self.catalog.lose_file(stored)

    async def erase_deleted(self, *, deleted_before: datetime, limit: int) -> int:
        """See `ports.Repairs`."""
        return await self.catalog.erase_deleted(deleted_before=deleted_before, limit=limit)

    async def forget_ended(
        self, *, jobs_before: datetime, letters_before: datetime, limit: int
    ) -> int:
        """See `ports.Repairs`."""
        return await self.catalog.forget_ended(
            jobs_before=jobs_before, letters_before=letters_before, limit=limit
        )

    async def forget_records(self, *, default_days: float, limit: int) -> int:
        """See `ports.Repairs`."""
        return await self.catalog.forget_records(default_days=default_days, limit=limit)
