"""The relay moves facts from the outbox, where their transaction put them, to the event log.

A row is deleted once the log holds its event; a kill in between sends it twice, which handlers
bear. The outbox decides whose turn it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ragmesh.chassis.events.facts import AnswersInvalidated, DocumentChanged, EventLane
from ragmesh.chassis.events.port import Event, EventLog
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.telemetry.current import TRACEPARENT
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.ports import Outbox
from ragmesh.indexing.records import OutboxRow, Topic

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """How much the relay moves."""

    rows: int = 200
    """Most rows of one append."""
    window_documents: int = 256
    """Most unfinished documents of a tenant and lane in the log: what keeps one tenant's many
    from standing before another's few."""
    poll_seconds: float = 1.0
    """The outbox says when it was filled; a window that got room again is seen by looking."""


@dataclass(frozen=True, slots=True)
class Relay:
    """Owns no state: whatever is in the outbox is still to be sent."""

    outbox: Outbox
    log: EventLog
    clock: Clock
    limits: RelayLimits = RelayLimits()

    async def run(self) -> None:
        """Relay until cancelled; a store that is full or away is waited for, and told once."""
        told = ""
        while True:
            try:
                while await self.relay_some() == self.limits.rows:
                    pass  # there may be more; whatever comes meanwhile fills the outbox again
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                if error.reason != told:
                    told = error.reason
                    _log.warning("events wait in the outbox", extra={"reason": told})
                await self.outbox.release_outbox()  # another relay may reach the log
                await self.clock.sleep(error.retry_after_seconds or _PAUSE_SECONDS)
                continue
            told = ""
            await first_of(self.outbox.outbox_filled(), self.clock.sleep(self.limits.poll_seconds))

    async def relay_some(self) -> int:
        """Move the next rows; how many there were."""
        rows = await self.outbox.take_outbox(
            limit=self.limits.rows, window=self.limits.window_documents
        )
        if rows:
            await self.log.append([_event_of(row) for row in rows])
            await self.outbox.settle_outbox(rows)
        return len(rows)


def _event_of(row: OutboxRow) -> Event:
    """The row's event; whoever handles it finds the trace that the change was made in."""
    event = _fact_of(row).event()
    if not row.traceparent:
        return event
    return replace(event, headers=(*event.headers, (TRACEPARENT, row.traceparent)))


def _fact_of(row: OutboxRow) -> AnswersInvalidated | DocumentChanged:
    if row.topic is Topic.ANSWERS_INVALIDATED:
        return AnswersInvalidated(
            event_uid=row.event_uid,
            occurred_at=row.occurred_at,
            tenant_uid=row.tenant_uid,
            collection_uid=row.collection_uid,
            document_uid=row.document_uid,
            sequence=row.sequence,
        )
    return DocumentChanged(
        event_uid=row.event_uid,
        occurred_at=row.occurred_at,
        tenant_uid=row.tenant_uid,
        collection_uid=row.collection_uid,
        document_uid=row.document_uid,
        revision=row.revision,
        generation=row.generation,
        lane=EventLane(row.lane.value),
        index_version_uid=row.index_version_uid,
    )
