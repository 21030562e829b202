"""Looks at the Kafka that keeps the event log."""

from __future__ import annotations

from ragmesh.app.cli.findings import Finding, State
from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
)
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.settings import EventSettings
from ragmesh.core.errors import RagmeshError, TopicMissingError, TopicShrinkError
from ragmesh.indexing.worker import INDEXER_GROUP, INVALIDATOR_GROUP

_SUBJECT = "event log"
_CONSUMED = (
    (DOCUMENTS_CHANGED, INDEXER_GROUP),
    (DOCUMENTS_BULK_CHANGED, INDEXER_GROUP),
    (ANSWERS_INVALIDATED, INVALIDATOR_GROUP),
)
"""What is consumed, and by whom."""


async def event_log(events: EventSettings, address: KafkaAddress) -> Finding:
    """Whether brokers let us in and have every topic as it is declared."""
    from ragmesh.chassis.events.kafka.applying import planned
    from ragmesh.chassis.events.kafka.topics import Deed, TopicSize

    size = TopicSize(events.kafka.partitions, events.kafka.replication)
    try:
        changes = await planned(address, size)
    except TopicShrinkError as error:
        return Finding(_SUBJECT, State.NOTE, error.message, error.reason)
    except RagmeshError as error:
        return Finding.of(_SUBJECT, error)
    missing = [change.wanted.name for change in changes if change.deed is Deed.MAKE]
    if missing:
        names = ", ".join(missing)
        message = f"{address} has no {names}; `ragmesh topics apply` makes what is missing"
        return Finding(_SUBJECT, State.FAILED, message, TopicMissingError.reason)
    if changes:
        message = f"{address} has topics that differ: `ragmesh topics apply --dry-run` tells how"
        return Finding(_SUBJECT, State.NOTE, message)
    waiting = await _waiting(address)
    told = "how many events wait it did not say" if waiting is None else f"{waiting:,} events wait"
    return Finding(_SUBJECT, State.OK, f"{address} has every topic as it is declared; {told}")


async def _waiting(address: KafkaAddress) -> int | None:
    """How many events no indexer has finished; None where a broker does not say."""
    from ragmesh.chassis.events.kafka.watchdog import Lookout

    lookout, waiting = Lookout(address), 0
    for topic, group in _CONSUMED:
        lag = await lookout.lag_of(address.topic(topic), address.group(group, topic))
        if lag is None:
            return None
        waiting += lag
    return waiting
