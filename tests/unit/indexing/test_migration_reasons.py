"""Every reason of a migration is explained, and in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.evaluation import judging
from ragmesh.indexing import (
    gate,
    migration,
    migration_changes,
    migration_commands,
    migration_state,
    verifying,
)

DOCS = Path(__file__).parents[3] / "docs"
GIVEN_UP = "runbook/migration-rolled-back.md"
HELD = "runbook/gate-inconclusive.md"
PAGES = {
    migration.CANDIDATE_INCOMPLETE: GIVEN_UP,
    migration.QUALITY_GATE_FAILED: GIVEN_UP,
    migration.SPEC_REFUSED: GIVEN_UP,
    migration_changes.ROLLED_BACK: GIVEN_UP,
    migration_commands.ABORTED: GIVEN_UP,
    migration_state.SPEC_CHANGED: GIVEN_UP,
    verifying.CANDIDATE_EMPTY: GIVEN_UP,
    verifying.CANDIDATE_PARTIAL: GIVEN_UP,
    verifying.CANDIDATE_LOST: GIVEN_UP,
    verifying.CANDIDATE_FOREIGN: GIVEN_UP,
    gate.NO_GOLDEN_QUESTIONS: HELD,
    gate.NOTHING_FOUND: HELD,
    judging.TOO_FEW_QUESTIONS: HELD,
    judging.QUESTIONS_NOT_MEASURED: HELD,
    judging.METRIC_NOT_MEASURED: HELD,
    judging.LOSS_MAY_BE_CHANCE: HELD,
}


def tables_with(reason: str) -> list[str]:
    """Pages with a row of a table that begins with the reason, beside other ones perhaps."""
    found = []
    for page in DOCS.rglob("*.md"):
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("|") and f"`{reason}`" in line.split("|")[1]:
                found.append(page.relative_to(DOCS).as_posix())
    return found


@pytest.mark.parametrize("reason", sorted(PAGES))
def test_a_reason_of_a_migration_is_explained_in_one_table(reason: str) -> None:
    assert tables_with(reason) == [PAGES[reason]]


def test_no_reason_of_a_migration_is_forgotten() -> None:
    modules = (
        gate,
        judging,
        migration,
        migration_changes,
        migration_commands,
        migration_state,
        verifying,
    )
    constants = {
        value for module in modules for name, value in vars(module).items() if name == value
    }
    assert constants - {"SOUND"} == set(PAGES)  # one that is no reason
