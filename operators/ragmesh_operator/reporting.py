"""What a status says of what was seen; pure. Conditions are as kstatus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ragmesh.core.documents import Collection
from ragmesh.core.migrations import GateVerdict, MetricVerdict, Migration, MigrationPhase
from ragmesh.core.quality import QualityVerdict
from ragmesh_operator.resources import CollectionSpec
from ragmesh_operator.statuses import (
    AutoscalingStatus,
    CollectionStatus,
    Condition,
    Documents,
    Ingestion,
    MigrationStatus,
    Order,
    Quality,
    Weight,
)
from ragmesh_operator.values import CollectionResource, Seen

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"
QUALITY, AUTOSCALING = "QualityOK", "AutoscalingActive"
SCALES_NOTHING, NOT_UNDERSTOOD = "NotWanted", "NotUnderstood"
_UNKNOWN, _TRUE, _FALSE = "Unknown", "True", "False"
_SAID_AGAIN = {
    QualityVerdict.KEPT: _TRUE,
    QualityVerdict.RISEN: _TRUE,
    QualityVerdict.INCONCLUSIVE: _UNKNOWN,
}
"""What a later evaluation says in the place of the gate's."""
_MOVING = {
    MigrationPhase.PROVISIONING: "the candidate is being made",
    MigrationPhase.BACKFILLING: "the candidate is being filled",
    MigrationPhase.VERIFYING: "the candidate is compared with the catalog",
    MigrationPhase.EVALUATING: "golden questions are asked of both versions",
    MigrationPhase.AWAITING_APPROVAL: "somebody must approve: annotate ragmesh.dev/migration",
    MigrationPhase.CANARY: "a share of the questions goes to the candidate",
    MigrationPhase.PROMOTING: "all questions are being moved to the candidate",
    MigrationPhase.ROLLING_BACK: "questions are being moved back",
}
_BESIDE = frozenset(_MOVING) - {MigrationPhase.ROLLING_BACK}
"""Phases in which a candidate is beside the version that serves."""
_GIVEN_UP = frozenset({MigrationPhase.FAILED, MigrationPhase.ABORTED})
_OF_A_LATER_WISH = frozenset({"", "SPEC_REFUSED"})
"""Why nothing goes on although the version that was judged last serves."""
_LET_THROUGH = frozenset({GateVerdict.PASS, GateVerdict.INCONCLUSIVE})
"""What a gate said of a candidate that serves: it passed, or somebody approved it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an aspect holds, and why."""

    status: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a resource could not be carried out."""

    reason: str
    """CamelCase."""
    message: str
    passes: bool
    """Whether trying again may help without anybody changing anything."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What is known of the indexers, and what scales them."""

    status: AutoscalingStatus = field(default_factory=AutoscalingStatus)
    verdict: Verdict = Verdict(_FALSE, SCALES_NOTHING, "autoscaling.provider is none")
    replicas: int = 0
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look at a collection came to."""

    seen: Seen | None
    """None = the mesh could not be asked."""
    trouble: Trouble | None = None
    order: Order | None = None
    """The last command."""
    settled: bool = False
    """Whether everything was carried out."""

    @property
    def may_pass(self) -> bool:
        """Whether something is left to do that may be done soon, with nobody changing anything."""
        return not self.settled and (self.trouble is None or self.trouble.passes)


def camel(reason: str) -> str:
    """QUALITY_GATE_FAILED as QualityGateFailed."""
    return "".join(part.capitalize() for part in reason.split("_"))


def status_of(
    wanted: CollectionResource, outcome: Outcome, scaling: Scaling, now: datetime
) -> CollectionStatus:
    """The status of a collection; what could not be seen is as it was."""
    verdicts = dict(_verdicts(wanted, outcome, scaling))
    settled = outcome.settled and outcome.trouble is None and not wanted.spec.paused
    common = {
        "conditions": conditions_of(wanted.status.conditions, wanted.generation, verdicts, now),
        "observed_generation": wanted.generation,
        "applied_generation": wanted.generation if settled else wanted.status.applied_generation,
        "autoscaling": scaling.status,
        "replicas": scaling.replicas,
        "selector": scaling.selector,
    }
    seen = outcome.seen
    if seen is None or seen.migration is None or seen.collection is None:
        return wanted.status.model_copy(update=common)
    index, documents = _of_index(seen.migration, outcome.order), _of_documents(seen.collection, now)
    return wanted.status.model_copy(update=common | index | documents)


def not_understood(
    known: CollectionStatus, generation: int, message: str, now: datetime
) -> CollectionStatus:
    """The status of a collection whose spec cannot be read; what was seen of it stays."""
    ready, moving, stalled = _stalled(NOT_UNDERSTOOD, message)
    unknown = Verdict(_UNKNOWN, NOT_UNDERSTOOD)
    verdicts = {
        READY: ready,
        RECONCILING: moving,
        STALLED: stalled,
        QUALITY: unknown,
        AUTOSCALING: unknown,
    }
    conditions = conditions_of(known.conditions, generation, verdicts, now)
    return known.model_copy(update={"conditions": conditions, "observed_generation": generation})


def _of_index(migration: Migration, order: Order | None) -> dict[str, object]:
    return {
        "active_version": migration.serving,
        "candidate_version": migration.candidate,
        "route_epoch": migration.route_epoch,
        "weights": tuple(
            Weight(version=one.index_version, weight=one.weight) for one in migration.shares
        ),
        "migration": _migration_status(migration, order),
        "quality": _measured(migration),
    }


def _measured(migration: Migration) -> tuple[Quality, ...]:
    """What was asked on schedule, but for as long as a candidate is beside it."""
    quality = migration.quality
    if quality is not None and migration.phase.rests:
        return tuple(
            Quality(
                metric=one.metric,
                active=one.value,
                before=one.before,
                ci_low=one.difference_low,
                verdict=quality.verdict.value,
            )
            for one in quality.metrics
        )
    serves = _serves_what_was_judged(migration)
    judged = (*migration.verdicts, *migration.slice_verdicts)
    return tuple(_judged(one, serves=serves) for one in judged)


def _judged(one: MetricVerdict, *, serves: bool) -> Quality:
    return Quality(
        metric=one.metric,
        slice=one.slice or None,
        active=one.candidate if serves else one.serving,
        candidate=None if serves else one.candidate,
        before=one.serving if serves else None,
        ci_low=one.difference_low,
        verdict=one.verdict.value,
    )


def _serves_what_was_judged(migration: Migration) -> bool:
    """Whether the candidate of the gate serves by now; one that does not is gone, or refused."""
    if migration.phase in _BESIDE or migration.verdict not in _LET_THROUGH:
        return False
    # A mesh of 0.2.0 goes on telling what was said of a version that it gave up.
    return migration.phase not in _GIVEN_UP or migration.reason in _OF_A_LATER_WISH


def _of_documents(found: Collection, now: datetime) -> dict[str, object]:
    since = now if found.pending_since is None else found.pending_since
    return {
        "documents": Documents(
            accepted=found.documents,
            indexed=found.indexed_documents,
            failed=found.failed_documents,
        ),
        "ingestion": Ingestion(
            backlog=found.pending_documents,
            freshness_seconds=max(int((now - since).total_seconds()), 0),
            dead_letters=found.dead_letters,
        ),
    }


def conditions_of(
    known: Sequence[Condition], generation: int, verdicts: Mapping[str, Verdict], now: datetime
) -> tuple[Condition, ...]:
    """Conditions in the order of the verdicts; the time is that of the last change of status."""
    before = {one.type: one for one in known}
    return tuple(
        Condition(
            type=kind,
            status=verdict.status,  # type: ignore[arg-type]
            reason=verdict.reason,
            message=verdict.message,
            observed_generation=generation,
            last_transition_time=before[kind].last_transition_time
            if kind in before and before[kind].status == verdict.status
            else now.replace(microsecond=0),
        )
        for kind, verdict in verdicts.items()
    )


def newly_stalled(known: Sequence[Condition], now: Sequence[Condition]) -> Condition | None:
    """The condition Stalled if it holds, and did not for that reason before."""
    said = {one.type: (one.status, one.reason) for one in known}
    for one in now:
        if one.type == STALLED and one.status == _TRUE and said.get(STALLED) != (_TRUE, one.reason):
            return one
    return None


def _verdicts(
    wanted: CollectionResource, outcome: Outcome, scaling: Scaling
) -> Iterator[tuple[str, Verdict]]:
    ready, moving, stalled = _progress(wanted, outcome)
    yield READY, ready
    yield RECONCILING, moving
    yield STALLED, stalled
    yield QUALITY, _quality(wanted.spec, outcome.seen)
    yield AUTOSCALING, scaling.verdict


def _progress(wanted: CollectionResource, outcome: Outcome) -> tuple[Verdict, Verdict, Verdict]:
    """Ready, Reconciling and Stalled, of which exactly one holds."""
    trouble, seen = outcome.trouble, outcome.seen
    if wanted.spec.paused:
        return _reconciling("Paused", "spec.paused is true: nothing is written")
    if trouble is not None and trouble.passes:
        return _reconciling(trouble.reason, trouble.message)
    if trouble is not None:
        return _stalled(trouble.reason, trouble.message)
    if seen is None or seen.migration is None or not outcome.settled:
        return _reconciling("Applying", "what is wanted is being told to the mesh")
    return _of_migration(seen.migration)


def _of_migration(migration: Migration) -> tuple[Verdict, Verdict, Verdict]:
    # Later in one that somebody approved all the same, it is a person who holds it.
    is_gated = migration.phase is MigrationPhase.EVALUATING
    if is_gated and migration.verdict is GateVerdict.INCONCLUSIVE and migration.held is not None:
        said = migration.message or migration.held.reason
        return _stalled("GateInconclusive", f"{camel(migration.reason)}: {said}")
    if migration.held is not None:
        return _stalled("Held", f"{migration.held.by}: {migration.held.reason}")
    if migration.phase in _MOVING:
        reason = camel(migration.phase.value)
        return _reconciling(reason, migration.message or _MOVING[migration.phase])
    if migration.reason:
        return _stalled(camel(migration.reason), migration.message)
    return (
        Verdict(_TRUE, camel(migration.phase.value), f"{migration.serving} serves"),
        Verdict(_FALSE, "Settled"),
        Verdict(_FALSE, "Settled"),
    )


def progress_of(trouble: Trouble | None, reason: str) -> tuple[Verdict, Verdict, Verdict]:
    """The same of a resource with nothing that goes on by itself."""
    if trouble is None:
        return Verdict(_TRUE, reason), Verdict(_FALSE, reason), Verdict(_FALSE, reason)
    told = _reconciling if trouble.passes else _stalled
    return told(trouble.reason, trouble.message)


def _reconciling(reason: str, message: str) -> tuple[Verdict, Verdict, Verdict]:
    return (
        Verdict(_FALSE, reason, message),
        Verdict(_TRUE, reason, message),
        Verdict(_FALSE, "Progressing"),
    )


def _stalled(reason: str, message: str) -> tuple[Verdict, Verdict, Verdict]:
    return (
        Verdict(_FALSE, reason, message),
        Verdict(_FALSE, "Stalled"),
        Verdict(_TRUE, reason, message),
    )


def _quality(spec: CollectionSpec, seen: Seen | None) -> Verdict:
    if seen is None or seen.migration is None:
        return Verdict(_UNKNOWN, "NotSeen")
    if seen.golden_missing:
        return Verdict(_UNKNOWN, "GoldenQueriesMissing", "the ConfigMap or its key is not there")
    migration, quality = seen.migration, seen.migration.quality
    found = _serving_metrics(migration)
    low = [
        f"{one.name} is {found[one.name]:.3f}, below {one.floor:.3f}"
        for one in spec.evaluation.metrics
        if one.floor is not None and found.get(one.name, 1.0) < one.floor
    ]
    if low:
        return Verdict(_FALSE, "BelowFloor", "; ".join(low))
    if quality is not None and quality.verdict is QualityVerdict.FALLEN:
        return Verdict(_FALSE, camel(quality.verdict.name), quality.message)
    if migration.verdict is GateVerdict.REFUSED:
        return Verdict(_FALSE, "CandidateRefused", migration.message)
    if quality is not None and migration.phase.rests and quality.verdict in _SAID_AGAIN:
        return Verdict(_SAID_AGAIN[quality.verdict], camel(quality.verdict.name), quality.message)
    if migration.verdict is GateVerdict.INCONCLUSIVE:
        return Verdict(_UNKNOWN, "Inconclusive", migration.message)
    if migration.verdict is GateVerdict.PASS:
        return Verdict(_TRUE, "Passed")
    if quality is not None:
        return Verdict(_UNKNOWN, "First", "what is found later is compared with it")
    return Verdict(_UNKNOWN, "NotEvaluated")


def _serving_metrics(migration: Migration) -> dict[str, float]:
    """What is known of the version that serves, by metric."""
    if migration.quality is not None:
        return {one.metric: one.value for one in migration.quality.metrics}
    return {one.metric: one.active for one in _measured(migration) if one.slice is None}


def _migration_status(migration: Migration, order: Order | None) -> MigrationStatus:
    step = "" if migration.phase.rests else f"{migration.percent}%"
    return MigrationStatus(
        phase=camel(migration.phase.value),
        step=step,
        started_at=migration.started_at,
        reason=camel(migration.reason),
        message=migration.message,
        command=order,
    )
