"""Which phase allows which command: what the documentation says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragmesh.core.documents import Chunking
from ragmesh.core.errors import MigrationCommandRefusedError
from ragmesh.core.migrations import GateVerdict, Hold, MigrationCommand, MigrationPhase
from ragmesh.indexing.migration_commands import Order, commanded
from ragmesh.indexing.migration_state import BuildSpec, MigrationState, Observed, Role, Standing
from ragmesh.testing.embedding import fake_fingerprint

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "change-an-index.md"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WANTED = BuildSpec("new", fake_fingerprint("new"), Chunking(), "en")
BESIDE = {
    MigrationPhase.PROVISIONING,
    MigrationPhase.BACKFILLING,
    MigrationPhase.VERIFYING,
    MigrationPhase.EVALUATING,
    MigrationPhase.AWAITING_APPROVAL,
    MigrationPhase.CANARY,
    MigrationPhase.PROMOTING,
}
"""Phases with a candidate."""
CASES = ("", "held", "inconclusive", "retained", "refused")
ALLOWING = {
    "yes": frozenset(CASES),
    "unless held": frozenset(CASES) - {"held"},
    "if held": frozenset({"held"}),
    "if inconclusive": frozenset({"inconclusive"}),
    "if one is retained": frozenset({"retained"}),
    "if it was refused": frozenset({"refused"}),
    "": frozenset(),
}
"""What a cell of the table says: in which cases the command is carried out."""


def documented() -> dict[tuple[MigrationPhase, MigrationCommand], str]:
    """The table of the page."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (start,) = [n for n, line in enumerate(lines) if line.startswith("| phase | `approve`")]
    commands = [MigrationCommand(cell.strip("`")) for cell in cells(lines[start])[1:]]
    found = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        phases, *told = cells(line)
        for phase in phases.split(", "):
            for command, cell in zip(commands, told, strict=True):
                found[MigrationPhase(phase.strip("`")), command] = cell
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def observed(phase: MigrationPhase, case: str) -> Observed:
    """A migration in this phase, which is otherwise as plain as may be but for the case."""
    versions = [Standing("v1", "v1", "d1", Role.PRIMARY, made=True, weight=100)]
    if phase in BESIDE:
        versions.append(Standing("v2", "v2", WANTED.digest, Role.CANDIDATE, made=True))
    elif case == "retained":
        versions.append(Standing("v0", "v0", "d0", Role.RETAINED, made=True))
    state = MigrationState("c", WANTED, phase=phase, phase_at=NOW)
    if case == "held":
        state = replace(state, held=Hold("ada", "lunch", NOW))
    if case == "inconclusive":
        state = replace(state, verdict=GateVerdict.INCONCLUSIVE)
    return Observed(state, tuple(versions), NOW, is_refused=case == "refused")


def test_every_phase_and_every_command_is_documented() -> None:
    wanted = {(phase, command) for phase in MigrationPhase for command in MigrationCommand}
    assert set(documented()) == wanted


def refusal(
    phase: MigrationPhase, case: str, command: MigrationCommand
) -> MigrationCommandRefusedError | None:
    try:
        commanded(observed(phase, case), Order(command, "ada", "because"))
    except MigrationCommandRefusedError as error:
        return error
    return None


@pytest.mark.parametrize("command", list(MigrationCommand))
@pytest.mark.parametrize("phase", list(MigrationPhase))
def test_a_command_is_carried_out_where_it_is_documented_and_else_refused_with_a_sentence(
    phase: MigrationPhase, command: MigrationCommand
) -> None:
    found = {case: refusal(phase, case, command) for case in CASES}
    refusals = [error for error in found.values() if error is not None]
    allowed = {case for case, error in found.items() if error is None}
    assert allowed == ALLOWING[documented()[phase, command]]
    for error in refusals:
        _, _, why = error.message.partition(f"the migration is {phase.value.replace('_', ' ')}: ")
        assert len(why.split()) >= 3, error.message
        assert error.metadata == {"phase": phase.name}
