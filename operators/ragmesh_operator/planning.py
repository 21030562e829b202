"""What to do next for a collection, by what is wanted and what was seen; pure, and never by events.

Whoever carries a plan out looks again and plans again, until nothing is left to do. So it does not
matter which event came, how often or in which order, nor after which write a process died.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ragmesh.core.documents import Chunking, DefaultAccess, NewCollection
from ragmesh.core.metadata import declare_sortable
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    IndexChange,
    MetricBound,
    Migration,
    MigrationCommand,
    MigrationPolicy,
    OnFailure,
)
from ragmesh_operator.resources import (
    BY_ANNOTATION,
    COMMAND_ANNOTATION,
    FINALIZER,
    REASON_ANNOTATION,
    CollectionSpec,
    seconds_of,
)
from ragmesh_operator.statuses import Order
from ragmesh_operator.values import CollectionResource, GoldenSet, Seen

CLEANUP = timedelta(minutes=2)
"""How long deletion waits for a mesh that does not answer."""
_ALL = 100


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Have the resource stay until its documents are gone, or no longer."""

    present: bool
    incomplete: bool = False
    """Whether it goes although clean-up did not succeed."""


@dataclass(frozen=True, slots=True)
class CreateCollection:
    """Make the collection."""

    new: NewCollection


@dataclass(frozen=True, slots=True)
class WantIndex:
    """Say what the index should be; the resource keeps the collection from then on."""

    change: IndexChange


@dataclass(frozen=True, slots=True)
class SetAccess:
    """Change the default access."""

    access: DefaultAccess


@dataclass(frozen=True, slots=True)
class KeepGolden:
    """Have the collection keep golden questions."""

    golden: GoldenSet


@dataclass(frozen=True, slots=True)
class RecordOrder:
    """Write a command into the status, before it is sent and after."""

    order: Order


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Tell the migration what to do; what comes of it is recorded."""

    order: Order


@dataclass(frozen=True, slots=True)
class DeleteCollection:
    """Delete the collection with its documents."""


@dataclass(frozen=True, slots=True)
class ReleaseCollection:
    """Let anybody change the collection again."""


Action = (
    SetFinalizer
    | CreateCollection
    | WantIndex
    | SetAccess
    | KeepGolden
    | RecordOrder
    | SendOrder
    | DeleteCollection
    | ReleaseCollection
)


def plan(wanted: CollectionResource, seen: Seen) -> tuple[Action, ...]:
    """What moves the mesh towards what is wanted; empty when there is nothing to do."""
    if wanted.deleted_at is not None:
        return _end(wanted, seen)
    if wanted.spec.paused:
        return ()
    keeps = wanted.spec.deletion_policy == "Delete"
    if keeps != (FINALIZER in wanted.finalizers):
        return (SetFinalizer(keeps),)  # first: nothing is made that would be left behind
    if not seen.tenant_uid:
        return ()
    if seen.collection is None or seen.migration is None:
        return (CreateCollection(_new(wanted)),)
    return tuple(_settings(wanted, seen, seen.migration)) or tuple(_orders(wanted))


def plan_orders(wanted: CollectionResource, seen: Seen) -> tuple[Action, ...]:
    """What a command takes, where the rest cannot be carried out: one may want back just then."""
    is_left_alone = wanted.deleted_at is not None or wanted.spec.paused
    if is_left_alone or seen.migration is None:
        return ()
    return tuple(_orders(wanted))


def is_overdue(wanted: CollectionResource, now: datetime) -> bool:
    """Whether a deletion has waited for a clean-up for long enough."""
    return wanted.deleted_at is not None and now >= wanted.deleted_at + CLEANUP


def _end(wanted: CollectionResource, seen: Seen) -> tuple[Action, ...]:
    if FINALIZER not in wanted.finalizers:
        return ()
    gone = SetFinalizer(present=False)
    if seen.collection is None:
        return (gone,)
    if wanted.spec.deletion_policy == "Delete" and not wanted.spec.paused:
        return (DeleteCollection(), gone)
    return (ReleaseCollection(), gone)


def _settings(wanted: CollectionResource, seen: Seen, migration: Migration) -> Iterator[Action]:
    change = index_change(wanted.spec)
    applied = wanted.status.applied_generation == wanted.generation
    # Not what another keeps by now: of two clusters each would take it from the other for ever.
    is_released = migration.kept_by == ""
    if not applied or is_released or _differs(change, migration, seen.left):
        yield WantIndex(replace(change, requester=wanted.requester))
    access = DefaultAccess(wanted.spec.default_access)
    if seen.collection is not None and seen.collection.default_access is not access:
        yield SetAccess(access)
    if seen.golden is not None and seen.golden.digest != seen.golden_digest:
        yield KeepGolden(seen.golden)


def _differs(change: IndexChange, migration: Migration, left: MigrationPolicy | None) -> bool:
    """Whether the mesh wants something else; what is not said is as it likes."""
    return (
        (change.encoder is not None and change.encoder != migration.encoder)
        or (change.language is not None and change.language != migration.language)
        or change.chunking != migration.chunking
        or migration.policy not in {None, change.policy, left}
    )


def _orders(wanted: CollectionResource) -> Iterator[Action]:
    """A command is written down before it is sent, so that it is one command however often."""
    last, asked = wanted.status.migration.command, wanted.annotations.get(COMMAND_ANNOTATION)
    if last is not None and last.outcome == "Sending":
        yield SendOrder(last)
    elif asked is not None:
        order = Order(
            id=f"{wanted.uid}.{wanted.resource_version}",
            command=asked,
            by=wanted.annotations.get(BY_ANNOTATION, ""),
            reason=wanted.annotations.get(REASON_ANNOTATION, ""),
            outcome="Sending",
        )
        yield RecordOrder(order)


def command_of(order: Order) -> MigrationCommand | None:
    """What the command means; None = it is none."""
    try:
        return MigrationCommand(order.command)
    except ValueError:
        return None


def index_change(spec: CollectionSpec) -> IndexChange:
    """What the index should be, as the mesh is told."""
    return IndexChange(
        encoder=spec.encoder, chunking=_chunking(spec), language=spec.language, policy=_policy(spec)
    )


def _new(wanted: CollectionResource) -> NewCollection:
    spec = wanted.spec
    return NewCollection(
        name=wanted.key.name,
        language=spec.language or "",
        encoder=spec.encoder or "",
        chunking=_chunking(spec),
        default_access=DefaultAccess(spec.default_access),
        sortable=declare_sortable({one.field: one.kind for one in spec.sortable}),
    )


def _chunking(spec: CollectionSpec) -> Chunking:
    return Chunking(spec.chunking.max_tokens or 0, spec.chunking.overlap_tokens)


def _policy(spec: CollectionSpec) -> MigrationPolicy:
    migration, evaluation = spec.migration, spec.evaluation
    steps = tuple(
        CanaryStep(one.weight, seconds_of(one.hold))
        for one in migration.canary.steps
        if one.weight < _ALL or seconds_of(one.hold) > 0
    )
    bounds = tuple(
        MetricBound(one.name, one.max_regression)
        for one in evaluation.metrics
        if one.max_regression is not None
    )
    return MigrationPolicy(
        canary=steps,
        approval=Approval(migration.approval.lower()),
        soak_seconds=seconds_of(migration.soak),
        retain_seconds=seconds_of(migration.retain),
        on_failure=OnFailure(migration.on_failure.lower()),
        max_regressions=bounds,
        min_questions=evaluation.min_queries,
    )
