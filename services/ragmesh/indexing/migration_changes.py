"""What a step makes of a migration, to be committed as a whole; pure, as the plan is."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.migrations import GateVerdict, Hold, MigrationPhase
from ragmesh.indexing.migration_state import (
    SPEC_CHANGED,
    Change,
    MigrationState,
    Observed,
    Refusal,
    Role,
)
from ragmesh.indexing.migration_steps import (
    Abandon,
    Drop,
    Enter,
    MakeCandidate,
    Promote,
    Refuse,
    Retire,
    RollBack,
    Step,
    Stop,
    Weigh,
)

GATE = "gate"
"""Who holds a migration that no person stopped."""
ROLLED_BACK = "ROLLED_BACK"


def after(step: Step, observed: Observed) -> Change:  # noqa: C901 - one case a step
    """What the step makes of a migration, to be committed as a whole."""
    match step:
        case MakeCandidate():
            return _begun(observed)
        case Enter():
            return Change(_moved(observed, step))
        case Weigh():
            return _weighed(observed, step.step)
        case Promote():
            return _promoted(observed)
        case RollBack():
            return rolled_back(observed, at_once=step.at_once)
        case Refuse():
            return refused(observed, step.reason, step.message)
        case Abandon():
            message = "another index is wanted now"
            return given_up(observed, MigrationPhase.ABORTED, SPEC_CHANGED, message)
        case Stop():
            held = Hold(GATE, step.message or step.reason, observed.now)
            return Change(replace(observed.state, held=held, reason=step.reason))
        case Retire():
            state = replace(observed.state, retained_uid="")
            return Change(state, roles={step.uid: Role.DISCARDED})
        case Drop():
            return Change(observed.state, dropped=step.uid)
        case _:
            raise TypeError(f"{type(step).__name__} changes no state by itself")


def entered(observed: Observed, phase: MigrationPhase) -> MigrationState:
    """The state at the beginning of a phase."""
    return replace(
        observed.state, phase=phase, phase_at=observed.now, checked="", reason="", message=""
    )


def unjudged(state: MigrationState) -> MigrationState:
    """The same without what a gate said: it is told of no other version than it was said of."""
    return replace(state, verdict=None, verdicts=(), slice_verdicts=())


def _moved(observed: Observed, step: Enter) -> MigrationState:
    state = replace(entered(observed, step.phase), reason=step.reason, message=step.message)
    is_past = step.phase.rests and state.verdict is GateVerdict.REFUSED
    return unjudged(state) if is_past else state


def refused(observed: Observed, reason: str, message: str) -> Change:
    """The candidate is no good: the old version serves, and the spec is remembered."""
    gone = given_up(observed, MigrationPhase.FAILED, reason, message)
    return replace(gone, refusal=refusal_of(observed, reason))


def refusal_of(observed: Observed, reason: str) -> Refusal | None:
    """The candidate's own spec, since another one may be wanted by now."""
    candidate = observed.candidate
    return None if candidate is None else Refusal(candidate.digest, reason)


def given_up(observed: Observed, phase: MigrationPhase, reason: str, message: str) -> Change:
    """Nobody goes to the candidate any more, and nobody writes it."""
    candidate, primary = observed.candidate, observed.primary
    state = replace(
        entered(observed, phase), candidate_uid="", held=None, reason=reason, message=message
    )
    if (phase, state.verdict) != (MigrationPhase.FAILED, GateVerdict.REFUSED):
        state = unjudged(state)  # but for what says why it failed
    if candidate is None:
        return Change(state)
    weights = {primary.uid: 100} if candidate.weight else {}
    return Change(state, roles={candidate.uid: Role.DISCARDED}, weights=weights)


def rolled_back(observed: Observed, *, at_once: bool) -> Change:
    """The retained version serves again; the one that is left is remembered unless unwanted."""
    retained, primary = observed.retained, observed.primary
    if retained is None:
        raise ValueError("there is no version to roll back to")
    is_unwanted = observed.state.reason == SPEC_CHANGED
    phase = MigrationPhase.IDLE if is_unwanted else MigrationPhase.FAILED
    message = "" if is_unwanted else observed.state.message
    state = replace(
        unjudged(entered(observed, phase)),
        retained_uid="",
        held=None,
        flips=observed.state.flips + 1,
        reason="" if is_unwanted else ROLLED_BACK,
        message=message,
    )
    return Change(
        state,
        roles={retained.uid: Role.PRIMARY, primary.uid: Role.DISCARDED},
        weights={retained.uid: 100},
        refusal=None if is_unwanted else Refusal(primary.digest, ROLLED_BACK),
        only_if_caught_up="" if at_once else retained.uid,
        hurry=retained.uid if at_once else "",
    )


def _begun(observed: Observed) -> Change:
    state = replace(
        unjudged(entered(observed, MigrationPhase.PROVISIONING)),
        started_at=observed.now,
        approved=False,
    )
    return Change(state, candidate=state.wanted)


def _weighed(observed: Observed, step: int) -> Change:
    candidate, primary = observed.candidate, observed.primary
    if candidate is None:
        raise ValueError("there is no candidate to try")
    weight = observed.state.policy.canary[step].weight
    state = replace(observed.state, phase_at=observed.now)
    return Change(state, weights={primary.uid: 100 - weight, candidate.uid: weight})


def _promoted(observed: Observed) -> Change:
    candidate, primary = observed.candidate, observed.primary
    if candidate is None:
        raise ValueError("there is no candidate to promote")
    state = replace(
        entered(observed, MigrationPhase.SOAKING),
        candidate_uid="",
        retained_uid=primary.uid,
        flips=observed.state.flips + 1,
    )
    return Change(
        state,
        roles={candidate.uid: Role.PRIMARY, primary.uid: Role.RETAINED},
        weights={candidate.uid: 100},
        only_if_caught_up=candidate.uid,
    )
