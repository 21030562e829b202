"""What somebody may tell a migration, by phase; pure, as the plan is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ragmesh.core.errors import MigrationCommandRefusedError
from ragmesh.core.migrations import GateVerdict, Hold, MigrationCommand, MigrationPhase
from ragmesh.indexing.migration_changes import (
    ROLLED_BACK,
    entered,
    given_up,
    refusal_of,
    refused,
    unjudged,
)
from ragmesh.indexing.migration_state import Change, Observed

ABORTED = "ABORTED"
_BUILDING = (
    MigrationPhase.PROVISIONING,
    MigrationPhase.BACKFILLING,
    MigrationPhase.VERIFYING,
    MigrationPhase.EVALUATING,
    MigrationPhase.AWAITING_APPROVAL,
    MigrationPhase.CANARY,
    MigrationPhase.PROMOTING,
)


@dataclass(frozen=True, slots=True)
class Order:
    """A command, who gives it, and why."""

    command: MigrationCommand
    by: str
    reason: str


def commanded(observed: Observed, order: Order) -> Change:
    """What the command makes of the migration; MigrationCommandRefusedError says why nothing."""
    return _COMMANDS[order.command](observed, order)


def _approve(observed: Observed, _order: Order) -> Change:
    state = observed.state
    is_undecided = (
        state.phase is MigrationPhase.EVALUATING and state.verdict is GateVerdict.INCONCLUSIVE
    )
    if state.phase is not MigrationPhase.AWAITING_APPROVAL and not is_undecided:
        raise _refusal(
            observed,
            "approve",
            "a candidate is approved while it awaits approval, or when the gate was inconclusive",
        )
    return Change(replace(state, approved=True, held=None))


def _promote(observed: Observed, _order: Order) -> Change:
    if observed.state.phase is not MigrationPhase.CANARY:
        raise _refusal(observed, "promote", "only the rest of a canary can be skipped")
    return Change(replace(entered(observed, MigrationPhase.PROMOTING), held=None))


def _hold(observed: Observed, order: Order) -> Change:
    state = observed.state
    if state.phase not in (*_BUILDING, MigrationPhase.SOAKING):
        raise _refusal(observed, "hold", "nothing goes on that could be held")
    if state.held is not None:
        raise _refusal(observed, "hold", f"it is held already, by {state.held.by}")
    return Change(replace(state, held=Hold(order.by, order.reason, observed.now)))


def _resume(observed: Observed, _order: Order) -> Change:
    state = observed.state
    if state.held is None:
        raise _refusal(observed, "resume", "it is not held")
    resumed = replace(state, held=None, reason="", message="", phase_at=observed.now)
    if state.phase is MigrationPhase.EVALUATING:
        resumed = unjudged(resumed)  # measured again
    return Change(replace(resumed, checked=""))


def _abort(observed: Observed, order: Order) -> Change:
    if observed.state.phase not in _BUILDING:
        raise _refusal(observed, "abort", "there is no candidate to give up")
    gone = given_up(observed, MigrationPhase.ABORTED, ABORTED, order.reason)
    return replace(gone, refusal=refusal_of(observed, ABORTED))


def _rollback(observed: Observed, order: Order) -> Change:
    phase = observed.state.phase
    if phase in (MigrationPhase.CANARY, MigrationPhase.PROMOTING):
        return refused(observed, ROLLED_BACK, order.reason)
    if phase is MigrationPhase.ROLLING_BACK:
        raise _refusal(observed, "roll back", "it goes back already")
    if not (phase.rests or phase is MigrationPhase.SOAKING) or observed.retained is None:
        raise _refusal(observed, "roll back", "no earlier version is kept that could serve")
    state = entered(observed, MigrationPhase.ROLLING_BACK)
    return Change(replace(state, held=None, reason=ROLLED_BACK, message=order.reason))


def _refresh(observed: Observed, _order: Order) -> Change:
    state = observed.state
    if not state.phase.rests or not observed.is_refused:
        raise _refusal(observed, "refresh", "what is wanted was not refused")
    return Change(entered(observed, MigrationPhase.IDLE), pardoned=state.wanted.digest)


_COMMANDS: Mapping[MigrationCommand, Callable[[Observed, Order], Change]] = MappingProxyType(
    {
        MigrationCommand.APPROVE: _approve,
        MigrationCommand.PROMOTE: _promote,
        MigrationCommand.HOLD: _hold,
        MigrationCommand.RESUME: _resume,
        MigrationCommand.ABORT: _abort,
        MigrationCommand.ROLLBACK: _rollback,
        MigrationCommand.REFRESH: _refresh,
    }
)


def _refusal(observed: Observed, what: str, why: str) -> MigrationCommandRefusedError:
    phase = observed.state.phase.value
    return MigrationCommandRefusedError(
        f"cannot {what} while the migration is {phase.replace('_', ' ')}: {why}",
        metadata={"phase": phase.upper()},
    )
