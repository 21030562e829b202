"""The worker brings the index to what the catalog wants; events only say where to look.

Whatever it does can be interrupted between any two steps and done again. Nothing it writes is
seen before the publication, and the publication is refused when something newer is wanted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
    AnswersInvalidated,
    DocumentChanged,
)
from ragmesh.chassis.events.port import Delivery, EventLog
from ragmesh.chassis.events.retrying import is_defect, reason_of
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.telemetry.current import current_traceparent
from ragmesh.core.answers import Invalidation
from ragmesh.core.documents import Failure
from ragmesh.core.errors import (
    EncoderNotFoundError,
    IndexVersionGoneError,
    JobCancelledError,
    RagmeshError,
    SupersededError,
    UnavailableError,
)
from ragmesh.core.mending import Origin
from ragmesh.indexing.following import Follower
from ragmesh.indexing.migration_state import Role
from ragmesh.indexing.ports import AnswerCache, ChunkIndex, WorkLedger
from ragmesh.indexing.records import IndexVersion, Task, Work
from ragmesh.indexing.stages import INDEXER, Stages
from ragmesh.indexing.writing import Writing

INDEXER_GROUP = "ragmesh.indexing.indexer"
INVALIDATOR_GROUP = "ragmesh.indexing.invalidator"

_log = logging.getLogger(__name__)
_MOST_TURNS = 20
"""How often one event reads anew because something newer was wanted meanwhile."""
_INVALIDATIONS_IN_FLIGHT = 16
_ENCODER_ATTEMPTS, _ENCODER_SECONDS = 10, 120.0
"""While embedding is renewed, those of its processes that go do not know a new encoder: it is asked
for again this often and for this long, before the document fails. Not by attempts alone: those that
ended otherwise, because embedding was away, say nothing about the encoder."""


class _Board:
    """Documents under way in this process; a second event only makes the first look again."""

    def __init__(self) -> None:
        self._again: dict[str, bool] = {}

    def claim(self, document_uid: str) -> bool:
        """Whether nobody is at it; else whoever is will look once more."""
        if document_uid in self._again:
            self._again[document_uid] = True
            return False
        self._again[document_uid] = False
        return True

    def is_done(self, document_uid: str) -> bool:
        """End the claim, unless somebody asked for another look since the last call."""
        if self._again[document_uid]:
            self._again[document_uid] = False
            return False
        del self._again[document_uid]
        return True

    def drop(self, document_uid: str) -> None:
        """End the claim in any case: the event comes again."""
        self._again.pop(document_uid, None)


@dataclass(frozen=True, slots=True)
class _UnknownEncoders:
    """Since when encoders have been unknown, none of whose texts was embedded in between."""

    since: dict[str, float] = field(default_factory=dict)

    def seconds(self, encoder: str, now: float) -> float:
        """For how long it has been unknown, now that it is so again."""
        return now - self.since.setdefault(encoder, now)

    def drop(self, encoder: str) -> None:
        """It is known."""
        self.since.pop(encoder, None)


@dataclass(frozen=True, slots=True)
class Indexer:
    """Handles `DocumentChanged`."""

    ledger: WorkLedger
    index: ChunkIndex
    stages: Stages
    board: _Board = field(default_factory=_Board, init=False)
    unknown: _UnknownEncoders = field(default_factory=_UnknownEncoders, init=False)

    @property
    def writing(self) -> Writing:
        """How the index comes to hold a piece of work."""
        return Writing(self.ledger, self.index, self.stages)

    @property
    def follower(self) -> Follower:
        """Handles what versions lack that follow the primary."""
        return Follower(self.ledger, self.writing)

    async def run(self, log: EventLog, *, max_in_flight: int) -> None:
        """Handle every event of the log, until cancelled.

        The bulk lane has half as much room beside that of the live one: it takes none away.
        """
        live, bulk = max_in_flight, max(1, max_in_flight // 2)
        await first_of(
            log.consume(DOCUMENTS_CHANGED, INDEXER_GROUP, self.handle, max_in_flight=live),
            log.consume(DOCUMENTS_BULK_CHANGED, INDEXER_GROUP, self.handle, max_in_flight=bulk),
        )

    async def handle(self, delivery: Delivery) -> None:
        """Return when the document is as the catalog wants it, or has been given up."""
        changed = DocumentChanged.of(delivery.event)
        place = f"{changed.document_uid} {changed.index_version_uid}"
        if not self.board.claim(place):
            return
        try:
            while True:
                if changed.index_version_uid:
                    await self.follower.settle(changed, delivery)
                else:
                    await self._settle(changed, delivery)
                if self.board.is_done(place):
                    return
        finally:
            self.board.drop(place)

    async def _settle(self, changed: DocumentChanged, delivery: Delivery) -> None:
        """Bring the primary index version of the collection to the document's desired state."""
        version = await self._primary(changed.collection_uid)
        while version is not None:
            removed = await self._settle_version(version, changed.document_uid, delivery)
            if removed is not None:
                await self.ledger.complete_removal(removed)
            settled, version = version, await self._primary(changed.collection_uid)
            if version is not None and version.uid == settled.uid:
                return  # else another version became it meanwhile, and its job reports that one

    async def _primary(self, collection_uid: str) -> IndexVersion | None:
        versions = await self.ledger.index_versions_of(collection_uid)
        return next((one for one in versions if one.role is Role.PRIMARY), None)

    async def _settle_version(
        self, version: IndexVersion, document_uid: str, delivery: Delivery
    ) -> Work | None:
        """The removal that this version has done its part of, None when there was none."""
        for _ in range(_MOST_TURNS):
            work = await self.ledger.work_of(version.uid, document_uid)
            if work is None or work.is_cancelled or work.follows:
                return None
            try:
                return await self._act(work, delivery)
            except SupersededError:
                continue
            except JobCancelledError:
                return None
        raise UnavailableError("the document changes faster than it can be indexed")

    async def _act(self, work: Work, delivery: Delivery) -> Work | None:
        """Do what is left to be done."""
        if work.task is Task.REMOVE:
            await self.writing.clean(work, below_revision=work.revision)
            return work
        if work.task is Task.NOTHING:
            # A kill may have come between a publication and the clean-up behind it.
            await self.writing.clean(work, below_revision=work.head_revision)
            return None
        try:
            await self._publish(work)
        except (SupersededError, JobCancelledError):
            raise
        except IndexVersionGoneError as error:
            # Not there yet, or not any more: the reconciler makes it, or the work is gone.
            raise UnavailableError("the index does not know the index version") from error
        except EncoderNotFoundError as error:
            if self._is_awaited(work.index.encoder, delivery):
                raise UnavailableError("embedding does not know the encoder yet") from error
            await self._fail(work, error, delivery)
        except Exception as error:  # given up with a reason, or raised for another attempt
            if not _is_final(error, delivery):
                raise
            await self._fail(work, error, delivery)
        return None

    async def _publish(self, work: Work) -> None:
        if not work.is_rewrite:  # its job has ended
            await self.ledger.start_job(work)
        if await self.writing.publish(work):
            self.unknown.drop(work.index.encoder)

    def _is_awaited(self, encoder: str, delivery: Delivery) -> bool:
        """Whether an unknown encoder is likely to be one that not all of embedding knows yet."""
        seconds = self.unknown.seconds(encoder, self.stages.clock.monotonic())
        return seconds < _ENCODER_SECONDS or delivery.attempt < _ENCODER_ATTEMPTS

    async def _fail(self, work: Work, error: Exception, delivery: Delivery) -> None:
        defect = is_defect(error) and not isinstance(error, RagmeshError)
        message = (
            f"a defect stopped the indexing ({type(error).__name__}); the log has the details"
            if defect
            else str(error)
        )
        _log.warning(
            "a document cannot be indexed",
            extra={"document": work.document_uid, "reason": reason_of(error)},
            exc_info=error if is_defect(error) else None,
        )
        await self.ledger.fail(
            work,
            Failure(reason_of(error), message),
            origin=Origin(
                delivery.event.topic, INDEXER_GROUP, work.job_id or "", current_traceparent()
            ),
            attempts=delivery.attempt,
        )


def _is_final(error: Exception, delivery: Delivery) -> bool:
    """Whether another attempt would be in vain, or is not granted."""
    if is_defect(error):
        return delivery.is_last_chance
    return isinstance(error, RagmeshError) and not error.kind.transient


@dataclass(frozen=True, slots=True)
class Invalidator:
    """Handles `AnswersInvalidated`: the cache hears of every head that moved, at least once."""

    cache: AnswerCache

    async def run(self, log: EventLog) -> None:
        """Handle every event of the log, until cancelled."""
        await log.consume(
            ANSWERS_INVALIDATED,
            INVALIDATOR_GROUP,
            self.handle,
            max_in_flight=_INVALIDATIONS_IN_FLIGHT,
        )

    async def handle(self, delivery: Delivery) -> None:
        """Forget answers that read the document before its head moved."""
        moved = AnswersInvalidated.of(delivery.event)
        await self.cache.invalidate(
            INDEXER, [Invalidation(moved.collection_uid, moved.document_uid, moved.sequence)]
        )
