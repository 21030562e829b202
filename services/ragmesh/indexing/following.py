"""Brings a version that follows the primary to what is published there, one document at a time.

No job hears of it and no upload waits for it. What fails is kept with the version: a cause that
passes is tried again later by whoever hands the work out, so that a candidate whose encoder is
away holds no place in the bulk lane; one that does not pass keeps the version from being promoted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ragmesh.chassis.events.facts import DocumentChanged
from ragmesh.chassis.events.port import Delivery
from ragmesh.chassis.events.retrying import is_defect, reason_of
from ragmesh.core.documents import Failure
from ragmesh.core.errors import EncoderNotFoundError, RagmeshError, SupersededError
from ragmesh.indexing.ports import WorkLedger
from ragmesh.indexing.records import Task, Work
from ragmesh.indexing.writing import Writing

_log = logging.getLogger(__name__)
_MOST_TURNS = 20
"""How often one event reads anew because something newer was published meanwhile."""
_ENCODER_ATTEMPTS = 10
"""A new encoder is not known to all of embedding at once; one that is not known after a quarter of
an hour is gone, and a candidate that answers already must not go on without it."""


@dataclass(frozen=True, slots=True)
class Follower:
    """Handles `DocumentChanged` of a candidate or retained version."""

    ledger: WorkLedger
    writing: Writing

    async def settle(self, changed: DocumentChanged, delivery: Delivery) -> None:
        """Return when the version holds the document as the primary does, or it is kept why not."""
        for _ in range(_MOST_TURNS):
            work = await self.ledger.work_of(changed.index_version_uid, changed.document_uid)
            if work is None or not work.follows:
                return
            try:
                await self._act(work)
            except SupersededError:
                continue
            except RagmeshError as error:
                await self._fail(work, error, most_attempts=_most_attempts(error))
            except Exception as error:  # kept with the version, or raised for another attempt
                if not delivery.is_last_chance:
                    raise
                await self._fail(work, error, most_attempts=1)
            return

    async def _act(self, work: Work) -> None:
        if work.task in {Task.INDEX, Task.ATTRIBUTES}:
            await self.writing.publish(work)
            return
        below = work.revision if work.task is Task.REMOVE else work.head_revision
        await self.writing.clean(work, below_revision=below)
        await self.ledger.settle_follower(work)

    async def _fail(self, work: Work, error: Exception, *, most_attempts: int | None) -> None:
        is_bug = is_defect(error) and not isinstance(error, RagmeshError)
        message = f"a defect ({type(error).__name__}); the log has it" if is_bug else str(error)
        _log.warning(
            "a version that follows lacks a document",
            extra={
                "index_version": work.index.uid,
                "document": work.document_uid,
                "reason": reason_of(error),
            },
            exc_info=error if is_bug else None,
        )
        failure = Failure(reason_of(error), message)
        await self.ledger.fail_follower(work, failure, most_attempts=most_attempts)


def _most_attempts(error: RagmeshError) -> int | None:
    """How often it is tried before the document is given up; None = until it is well."""
    if isinstance(error, EncoderNotFoundError):
        return _ENCODER_ATTEMPTS
    return None if error.kind.transient else 1
