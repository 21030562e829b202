"""Has the index hold one piece of work by the shortest way, and publishes it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ragmesh.core.documents import Stage
from ragmesh.core.errors import IndexVersionGoneError, RevisionNotFoundError
from ragmesh.core.index import AttributesWrite, DocumentDigest
from ragmesh.indexing.ports import ChunkIndex, WorkLedger
from ragmesh.indexing.records import Publication, Task, Work
from ragmesh.indexing.stages import INDEXER, PUBLISH_PERCENT, Progress, Stages

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Writing:
    """The same for the primary and for what follows it."""

    ledger: WorkLedger
    index: ChunkIndex
    stages: Stages

    async def publish(self, work: Work) -> bool:
        """Write the work and make it the head; then clear away what no head names any more.

        Whether its texts were embedded for that.
        """
        progress = Progress(self.ledger, self.stages.clock, work)
        held = await self._change_attributes(work, progress)
        done, digest = (work, held) if held else await self.stages.write(work, progress)
        await progress.show(Stage.PUBLISH, PUBLISH_PERCENT)
        await self.ledger.publish(
            Publication(
                index_version_uid=done.index.uid,
                document_uid=done.document_uid,
                revision=done.revision,
                generation=done.generation,
                access=done.attributes.access,
                chunk_count=digest.chunk_count,
                digest=digest.digest,
                timings_ms=progress.timings_ms,
                counts=tuple(sorted(progress.counts.items())),
                follows=work.follows,
            )
        )
        await self.clean(done, below_revision=done.revision)
        return held is None

    async def _change_attributes(self, work: Work, progress: Progress) -> DocumentDigest | None:
        """What the index holds once that was enough; None when the texts are to be written."""
        head = work.head
        if work.task is not Task.ATTRIBUTES or head is None:
            return None
        write = AttributesWrite(work.index.uid, work.document_uid, head.revision, work.attributes)
        try:
            async with progress.stage(Stage.WRITE, PUBLISH_PERCENT):
                await self.index.update_attributes(INDEXER, write)
        except RevisionNotFoundError:
            _log.warning(
                "published chunks are missing and will be written again",
                extra={"document": work.document_uid},
            )
            return None
        return DocumentDigest(
            work.document_uid, head.revision, work.generation, head.chunk_count, head.digest
        )

    async def clean(self, work: Work, *, below_revision: int) -> None:
        """Delete chunks that no head names any more; an index that is gone holds none."""
        if below_revision < 2:  # there is no revision 0
            return
        try:
            await self.index.delete_chunks(
                INDEXER, work.index.uid, work.document_uid, below_revision=below_revision
            )
        except IndexVersionGoneError:
            return
