"""The undertaker keeps events that died where they can be seen: the event log lists nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
    DocumentChanged,
)
from ragmesh.chassis.events.port import DEAD_SUFFIX, DeadLetter, Delivery, Event, EventLog
from ragmesh.chassis.events.waiting import first_of
from ragmesh.chassis.telemetry.current import TRACEPARENT
from ragmesh.core.callers import DEFAULT_TENANT_UID
from ragmesh.core.documents import Failure
from ragmesh.core.errors import UndecodableEventError
from ragmesh.core.mending import Origin
from ragmesh.indexing.records import BuriedEvent
from ragmesh.indexing.stores import DeadLetterStore

_log = logging.getLogger(__name__)
UNDERTAKER_GROUP = "ragmesh.indexing.undertaker"
_DOCUMENTS = (DOCUMENTS_CHANGED, DOCUMENTS_BULK_CHANGED)
_TOPICS = (*_DOCUMENTS, ANSWERS_INVALIDATED)
_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Undertaker:
    """Handles what consumer groups gave up."""

    store: DeadLetterStore

    async def run(self, log: EventLog) -> None:
        """Keep every event that dies, until cancelled."""
        dead = [topic + DEAD_SUFFIX for topic in _TOPICS]
        await first_of(
            *(
                log.consume(topic, UNDERTAKER_GROUP, self.handle, max_in_flight=_IN_FLIGHT)
                for topic in dead
            )
        )

    async def handle(self, delivery: Delivery) -> None:
        """Keep one event that died, as far as its key says what it was about."""
        try:
            dead = DeadLetter.of(delivery.event)
        except ValueError:
            # Given up it would go to a topic below, which nobody makes, and be sent for ever.
            facts = {"topic": delivery.event.topic}
            _log.warning("a foreign event among dead letters is passed over", extra=facts)
            return
        tenant_uid, collection_uid, document_uid = _named(dead.event.key)
        await self.store.bury_event(
            BuriedEvent(
                tenant_uid=tenant_uid,
                collection_uid=collection_uid,
                document_uid=document_uid,
                revision=_revision_of(dead.event),
                failure=Failure(
                    dead.cause.reason, "an event could not be handled; the log has the details"
                ),
                attempts=dead.cause.attempts,
                origin=Origin(
                    dead.event.topic, dead.group, "", dead.event.header(TRACEPARENT) or ""
                ),
            )
        )


def _named(key: str) -> tuple[str, str, str]:
    """Uids of tenant, collection and document; an event that names none is the mesh's own."""
    match key.split("/"):
        case [tenant, collection, document] if tenant and collection and document:
            return tenant, collection, document
        case _:
            return DEFAULT_TENANT_UID, "", ""


def _revision_of(event: Event) -> int:
    """The revision that a document's event is about; 0 when it cannot be read."""
    if event.topic not in _DOCUMENTS:
        return 0
    try:
        return DocumentChanged.of(event).revision
    except UndecodableEventError:
        return 0
