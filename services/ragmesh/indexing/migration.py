"""What to do next about a migration: a pure function from what is wanted and observed to steps.

Nothing here waits, reads a clock or knows a store. A plan is made anew after every step, so that
a process that dies between two steps is replaced by one that makes the same plan. `after` says
what a step makes of the state; the catalog commits that in one transaction, and only if the state
is still the one that the plan was made from: whatever dies or sleeps, a route flips once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from ragmesh.core.migrations import Approval, GateVerdict, MigrationPhase, OnFailure
from ragmesh.indexing.migration_changes import after
from ragmesh.indexing.migration_state import (
    SOUND,
    SPEC_CHANGED,
    FollowerProgress,
    MigrationState,
    Observed,
    Role,
    Standing,
)
from ragmesh.indexing.migration_steps import (
    Abandon,
    CreateIndex,
    Drop,
    Enter,
    Evaluate,
    Feed,
    MakeCandidate,
    Promote,
    Refuse,
    Retire,
    RollBack,
    Step,
    Stop,
    Verify,
    Weigh,
)

CANDIDATE_INCOMPLETE = "CANDIDATE_INCOMPLETE"
QUALITY_GATE_FAILED = "QUALITY_GATE_FAILED"
SPEC_REFUSED = "SPEC_REFUSED"
_REFUSED_BEFORE = "this index was refused or rolled back before; say refresh to try it again"
PATIENCE_SECONDS = 2.0
"""How long a rollback waits for the last documents; then it brings them after the questions."""


def plan(observed: Observed) -> tuple[Step, ...]:
    """Steps towards what is wanted, in order; empty when there is nothing to do but wait.

    Only the last one changes the state of the migration: after it everything looks different.
    """
    state = observed.state
    steps: list[Step] = [*_feeding(observed), *_clearing(observed)]
    if state.held is None:
        steps += _NEXT[state.phase](observed)
    return tuple(steps)


def foreseen(observed: Observed) -> MigrationState:
    """The state that a migration is about to have by what is wanted, for whoever asks where it is.

    Between a wish and the first step towards it nothing goes on. Who has just said what they want
    must not be told so, nor of what became of the wish before.
    """
    state = observed.state
    if state.held is not None or state.phase not in _OPEN_TO_WISHES:
        return state
    for step in _NEXT[state.phase](observed):
        if isinstance(step, Enter):
            return foreseen(replace(observed, state=after(step, observed).state))
    if state.wanted.digest == observed.primary.digest:
        return state
    if not observed.is_refused:
        return after(MakeCandidate(), observed).state
    return state if state.reason else replace(state, reason=SPEC_REFUSED, message=_REFUSED_BEFORE)


def _feeding(observed: Observed) -> list[Step]:
    """Whatever follows is fed, also on hold: else what is uploaded meanwhile would be lost."""
    state = observed.state
    pauses = state.held is not None and state.phase is MigrationPhase.BACKFILLING
    steps: list[Step] = []
    for version in observed.versions:
        is_paused = pauses and version.role is Role.CANDIDATE
        behind = not observed.progress_of(version).caught_up
        if version.role.follows and version.made and behind and not is_paused:
            steps.append(Feed(version.uid))
    return steps


def _clearing(observed: Observed) -> list[Drop]:
    """Discarded versions leave once no router can send them a question any more."""
    return [
        Drop(version.uid)
        for version in observed.of_role(Role.DISCARDED)
        if version.weight == 0 and version.weightless_seconds >= observed.lease_seconds
    ][:1]


def _resting(observed: Observed) -> list[Step]:
    state, retained = observed.state, observed.retained
    if state.wanted.digest == observed.primary.digest:
        if state.phase is not MigrationPhase.IDLE:
            return [Enter(MigrationPhase.IDLE)]
        return _retiring(observed)
    if observed.is_refused:
        # What became of an earlier wish, or that it was given up for this one, says nothing of it.
        if state.phase is MigrationPhase.IDLE or state.reason in {"", SPEC_CHANGED}:
            return [Enter(MigrationPhase.FAILED, SPEC_REFUSED, _REFUSED_BEFORE)]
        return _retiring(observed)
    return [MakeCandidate()] if retained is None else [Retire(retained.uid)]


def _retiring(observed: Observed) -> list[Step]:
    """The version before is written for as long as the policy says, and no longer."""
    retained = observed.retained
    is_over = observed.phase_seconds >= observed.state.policy.retain_seconds
    return [Retire(retained.uid)] if retained is not None and is_over else []


def _building(of_phase: Callable[[Observed, Standing], list[Step]]) -> Callable[..., list[Step]]:
    """A phase with a candidate; what is wanted may have changed meanwhile."""

    def steps(observed: Observed) -> list[Step]:
        candidate = observed.candidate
        if candidate is None or candidate.digest != observed.state.wanted.digest:
            return [Abandon()]
        return of_phase(observed, candidate)

    return steps


def _provisioning(_observed: Observed, candidate: Standing) -> list[Step]:
    if not candidate.made:
        return [CreateIndex(candidate.uid)]
    return [Enter(MigrationPhase.BACKFILLING)]


def _backfilling(observed: Observed, candidate: Standing) -> list[Step]:
    progress = observed.progress_of(candidate)
    if not progress.close:
        return []
    return [_incomplete(progress)] if progress.failed else [Enter(MigrationPhase.VERIFYING)]


def _verifying(observed: Observed, candidate: Standing) -> list[Step]:
    return _checked(observed, candidate) or [Enter(MigrationPhase.EVALUATING)]


def _evaluating(observed: Observed, candidate: Standing) -> list[Step]:
    state = observed.state
    if state.verdict is None:
        return [Evaluate(candidate.uid)]
    if state.verdict is GateVerdict.REFUSED:
        return [Refuse(QUALITY_GATE_FAILED, state.message)]
    if state.approved:
        return [Enter(MigrationPhase.CANARY)]
    if state.verdict is GateVerdict.INCONCLUSIVE:
        return [Stop(state.reason, state.message)]
    if state.policy.approval is Approval.MANUAL:
        return [Enter(MigrationPhase.AWAITING_APPROVAL)]
    return [Enter(MigrationPhase.CANARY)]


def _awaiting_approval(observed: Observed, _candidate: Standing) -> list[Step]:
    """What passed goes on when somebody approves it, or when nobody is to be asked any more."""
    state = observed.state
    goes_on = state.approved or state.policy.approval is Approval.AUTOMATIC
    return [Enter(MigrationPhase.CANARY)] if goes_on else []


def _canary(observed: Observed, candidate: Standing) -> list[Step]:
    state, progress = observed.state, observed.progress_of(candidate)
    if progress.failed:
        return [_failing(state, _incomplete(progress))]
    steps = state.policy.canary
    # Told by weights, not by a number: the policy may be another one since the last step.
    taken = sum(1 for one in steps if one.weight <= candidate.weight)
    held = steps[taken - 1].hold_seconds if taken else 0.0
    if observed.phase_seconds < held:
        return []
    if taken >= len(steps):
        return [Enter(MigrationPhase.PROMOTING)]
    # It may have fallen behind since it was filled: approvals take days, and encoders go away.
    return [Weigh(taken)] if progress.close else []


def _promoting(observed: Observed, candidate: Standing) -> list[Step]:
    progress = observed.progress_of(candidate)
    if progress.failed:
        return [_failing(observed.state, _incomplete(progress))]
    found = _checked(observed, candidate)
    if found:
        return found
    return [Promote()] if progress.caught_up else []


def _soaking(observed: Observed) -> list[Step]:
    state, retained = observed.state, observed.retained
    if state.wanted.digest != observed.primary.digest:
        if retained is not None and retained.digest == state.wanted.digest:
            return [Enter(MigrationPhase.ROLLING_BACK, SPEC_CHANGED)]
        if not observed.is_refused:  # else nothing is built that the soak would stand in the way of
            return [Enter(MigrationPhase.IDLE)]
    is_over = observed.phase_seconds >= state.policy.soak_seconds
    return [Enter(MigrationPhase.IDLE)] if is_over else []


def _rolling_back(observed: Observed) -> list[Step]:
    retained = observed.retained
    if retained is None:  # nothing is left to serve from but what serves
        return [Enter(MigrationPhase.IDLE)]
    at_once = observed.phase_seconds >= PATIENCE_SECONDS
    return [RollBack(at_once)] if at_once or observed.progress_of(retained).caught_up else []


_NEXT: Mapping[MigrationPhase, Callable[[Observed], list[Step]]] = MappingProxyType(
    {
        MigrationPhase.IDLE: _resting,
        MigrationPhase.PROVISIONING: _building(_provisioning),
        MigrationPhase.BACKFILLING: _building(_backfilling),
        MigrationPhase.VERIFYING: _building(_verifying),
        MigrationPhase.EVALUATING: _building(_evaluating),
        MigrationPhase.AWAITING_APPROVAL: _building(_awaiting_approval),
        MigrationPhase.CANARY: _building(_canary),
        MigrationPhase.PROMOTING: _building(_promoting),
        MigrationPhase.SOAKING: _soaking,
        MigrationPhase.ROLLING_BACK: _rolling_back,
        MigrationPhase.FAILED: _resting,
        MigrationPhase.ABORTED: _resting,
    }
)

_OPEN_TO_WISHES = frozenset(one for one in MigrationPhase if one.rests) | {MigrationPhase.SOAKING}
"""Phases without a candidate, in which a wish for another index begins a migration."""


def _checked(observed: Observed, candidate: Standing) -> list[Step]:
    """What is to be done before the candidate is known to be sound; nothing once it is."""
    state = observed.state
    if not state.checked:
        return [Verify(candidate.uid)]
    if state.checked != SOUND:
        return [_failing(state, Refuse(state.checked, state.message))]
    return []


def _incomplete(progress: FollowerProgress) -> Refuse:
    message = (
        f"{progress.failed} of {progress.documents} documents cannot be written to the candidate "
        f"({progress.trouble})"
    )
    return Refuse(CANDIDATE_INCOMPLETE, message)


def _failing(state: MigrationState, refusal: Refuse) -> Step:
    """What becomes of a candidate that is no good; before it answers anything, only one thing."""
    answers = state.phase in {MigrationPhase.CANARY, MigrationPhase.PROMOTING}
    if answers and state.policy.on_failure is OnFailure.HOLD:
        return Stop(refusal.reason, refusal.message)
    return refusal
