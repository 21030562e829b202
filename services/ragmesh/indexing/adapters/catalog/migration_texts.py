"""The state of a migration as the JSON of its row, and back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ragmesh.core.callers import Requester
from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    GateVerdict,
    Hold,
    MetricBound,
    MetricVerdict,
    MigrationPhase,
    MigrationPolicy,
    OnFailure,
)
from ragmesh.indexing.adapters.catalog.mapping import fingerprint_of, fingerprint_text
from ragmesh.indexing.migration import SPEC_REFUSED
from ragmesh.indexing.migration_changes import unjudged
from ragmesh.indexing.migration_state import BuildSpec, MigrationState


def state_text(state: MigrationState) -> str:
    """The state as JSON, without what has a column of its own."""
    fields = {
        "wanted": _spec_fields(state.wanted),
        "policy": _policy_fields(state.policy),
        "candidate": state.candidate_uid,
        "retained": state.retained_uid,
        "approved": state.approved,
        "checked": state.checked,
        "verdict": None if state.verdict is None else state.verdict.value,
        "verdicts": [_verdict_fields(one) for one in state.verdicts],
        # Beside them: the last release reads all of those as of all questions.
        "slice_verdicts": [[*_verdict_fields(one), one.slice] for one in state.slice_verdicts],
        "held": None if state.held is None else _hold_fields(state.held),
        "reason": state.reason,
        "message": state.message,
        "flips": state.flips,
        "started_at": _moment_text(state.started_at),
        "phase_at": _moment_text(state.phase_at),
        "requester": None
        if state.requester is None
        else [state.requester.uid, state.requester.generation],
    }
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


def state_of(row: Any) -> MigrationState:
    """The state of a row."""
    fields = json.loads(row["state"])
    state = MigrationState(
        collection_uid=row["collection_uid"],
        wanted=_spec_of(fields["wanted"]),
        policy=_policy_of(fields["policy"]),
        phase=MigrationPhase(row["phase"]),
        candidate_uid=fields["candidate"],
        retained_uid=fields["retained"],
        approved=fields["approved"],
        checked=fields["checked"],
        verdict=None if fields["verdict"] is None else GateVerdict(fields["verdict"]),
        verdicts=tuple(_verdict_of(one) for one in fields["verdicts"]),
        # Rows that an older version wrote have none.
        slice_verdicts=tuple(_verdict_of(one) for one in fields.get("slice_verdicts", ())),
        held=None if fields["held"] is None else _hold_of(fields["held"]),
        reason=fields["reason"],
        message=fields["message"],
        flips=fields["flips"],
        started_at=_moment_of(fields["started_at"]),
        phase_at=_moment_of(fields["phase_at"]),
        requester=None if fields["requester"] is None else Requester(*fields["requester"]),
        version=row["version"],
    )
    return unjudged(state) if _tells_of_another(state) else state


def _tells_of_another(state: MigrationState) -> bool:
    """Whether a gate's verdict is of a version that is gone: older versions kept it."""
    if state.phase is MigrationPhase.ABORTED:
        return True
    # A wish that was refused before says nothing of the version that serves, nor does a new one.
    is_given_up = state.phase is MigrationPhase.FAILED and state.reason not in {"", SPEC_REFUSED}
    return is_given_up and state.verdict is not GateVerdict.REFUSED


def _spec_fields(spec: BuildSpec) -> dict[str, Any]:
    return {
        "encoder": spec.encoder,
        "fingerprint": fingerprint_text(spec.fingerprint),
        "chunking": [spec.chunking.max_tokens, spec.chunking.overlap_tokens],
        "language": spec.language,
    }


def _spec_of(fields: dict[str, Any]) -> BuildSpec:
    return BuildSpec(
        fields["encoder"],
        fingerprint_of(fields["fingerprint"]),
        Chunking(*fields["chunking"]),
        fields["language"],
    )


def _policy_fields(policy: MigrationPolicy) -> dict[str, Any]:
    return {
        "canary": [[step.weight, step.hold_seconds] for step in policy.canary],
        "approval": policy.approval.value,
        "soak_seconds": policy.soak_seconds,
        "retain_seconds": policy.retain_seconds,
        "on_failure": policy.on_failure.value,
        # The last release reads this one alone, and must not lose a bound by it.
        "max_regression": policy.strictest_regression,
        "default_regression": policy.max_regression,
        "max_regressions": [[one.metric, one.max_regression] for one in policy.max_regressions],
        "min_questions": policy.min_questions,
    }


def _policy_of(fields: dict[str, Any]) -> MigrationPolicy:
    return MigrationPolicy(
        canary=tuple(CanaryStep(*step) for step in fields["canary"]),
        approval=Approval(fields["approval"]),
        soak_seconds=fields["soak_seconds"],
        retain_seconds=fields["retain_seconds"],
        on_failure=OnFailure(fields["on_failure"]),
        # Rows that an older version wrote have one for all metrics.
        max_regression=fields.get("default_regression", fields["max_regression"]),
        max_regressions=tuple(MetricBound(*one) for one in fields.get("max_regressions", ())),
        min_questions=fields["min_questions"],
    )


def _verdict_fields(found: MetricVerdict) -> list[Any]:
    return [
        found.metric,
        found.serving,
        found.candidate,
        found.difference_low,
        found.difference_high,
        found.questions,
        found.verdict.value,
    ]


def _verdict_of(fields: list[Any]) -> MetricVerdict:
    metric, serving, candidate, low, high, questions, verdict, *more = fields
    judged = GateVerdict(verdict)
    return MetricVerdict(metric, serving, candidate, low, high, questions, judged, *more)


def _hold_fields(hold: Hold) -> list[Any]:
    return [hold.by, hold.reason, _moment_text(hold.since)]


def _hold_of(fields: list[Any]) -> Hold:
    by, reason, since = fields
    return Hold(by, reason, datetime.fromisoformat(since))


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
