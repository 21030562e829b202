"""The topics of a mesh as they are declared, and what is to be done so that Kafka has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
)
from ragmesh.chassis.events.port import DEAD_SUFFIX
from ragmesh.core.errors import TopicShrinkError

_DAY_MS = 86_400_000
_IN_SYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that a mesh needs."""

    name: str
    retention_days: int
    """How long an event is kept, whoever has read it: so long can a group stay away."""
    is_shared: bool
    """Whether many members share the work; else one partition is enough."""


_LIVE = tuple(
    Topic(name, retention_days=7, is_shared=True)
    for name in (DOCUMENTS_CHANGED, DOCUMENTS_BULK_CHANGED, ANSWERS_INVALIDATED)
)
TOPICS = (
    *_LIVE,
    *(Topic(one.name + DEAD_SUFFIX, retention_days=30, is_shared=False) for one in _LIVE),
)
"""Every topic of a mesh."""


@dataclass(frozen=True, slots=True)
class TopicSize:
    """How large topics are made."""

    partitions: int
    replication: int


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as Kafka has it, or is to have it."""

    name: str
    partitions: int
    replication: int
    options: Mapping[str, str]
    """Those that are set for this topic alone."""


class Deed(Enum):
    """What is done to a topic."""

    MAKE = "make"
    GROW = "grow"
    SET = "set"
    TELL = "tell"
    """Nothing: only the tools of Kafka can."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do."""

    deed: Deed
    wanted: TopicState
    message: str


def wanted_states(size: TopicSize) -> tuple[TopicState, ...]:
    """What Kafka is to have."""
    return tuple(_wanted(topic, size) for topic in TOPICS)


def plan(wanted: Sequence[TopicState], found: Sequence[TopicState]) -> list[Change]:
    """What to do, nothing when all is as declared; TopicShrinkError before anything is done."""
    there = {state.name: state for state in found}
    changes: list[Change] = []
    for state in wanted:
        now = there.get(state.name)
        if now is None:
            message = f"{state.partitions} partition(s), each on {state.replication} broker(s)"
            changes.append(Change(Deed.MAKE, state, message))
        else:
            changes += _differences(state, now)
    return changes


def _wanted(topic: Topic, size: TopicSize) -> TopicState:
    options = {
        "cleanup.policy": "delete",
        "retention.ms": str(topic.retention_days * _DAY_MS),
        _IN_SYNC: _in_sync(size.replication),
    }
    partitions = size.partitions if topic.is_shared else 1
    return TopicState(topic.name, partitions, size.replication, MappingProxyType(options))


def _in_sync(replication: int) -> str:
    """How many brokers must have an event: one may be away without refusing events."""
    return str(max(1, replication - 1))


def _differences(wanted: TopicState, now: TopicState) -> list[Change]:
    changes = []
    if now.partitions > wanted.partitions:
        raise TopicShrinkError(
            f"{wanted.name} has {now.partitions} partitions and {wanted.partitions} are declared:"
            " set events.kafka.partitions no lower, a topic never loses partitions",
            metadata={"topic": wanted.name},
        )
    if now.partitions < wanted.partitions:
        message = f"from {now.partitions} to {wanted.partitions} partitions"
        changes.append(Change(Deed.GROW, wanted, message))
    # On fewer brokers than declared, what is declared for more would refuse every event.
    declared = {**wanted.options, _IN_SYNC: _in_sync(now.replication)}
    differing = {name: value for name, value in declared.items() if now.options.get(name) != value}
    if differing:
        options = MappingProxyType({**now.options, **differing})
        told = ", ".join(f"{name}={value}" for name, value in sorted(differing.items()))
        state = TopicState(wanted.name, wanted.partitions, wanted.replication, options)
        changes.append(Change(Deed.SET, state, told))
    if now.replication != wanted.replication:
        message = (
            f"each event is on {now.replication} broker(s), {wanted.replication} are declared:"
            " `kafka-reassign-partitions` moves them"
        )
        changes.append(Change(Deed.TELL, wanted, message))
    return changes
