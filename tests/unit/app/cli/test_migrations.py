"""`ragmesh migrations`, and what `collections update` says about an index."""

from __future__ import annotations

import json
from pathlib import Path

from ragmesh.core.migrations import Approval, CanaryStep, MigrationCommand
from tests.unit.app.cli.conftest import Program


def test_a_wish_for_another_encoder_says_how_carefully(program: Program, notes: str) -> None:
    said = program(
        *("collections", "update", notes, "--encoder", "fast", "--max-tokens", "200"),
        *("--canary", "5:60,50:10", "--approval", "manual", "--soak", "9"),
    )
    (wish,) = program.mesh.wishes
    assert (said.code, wish.encoder, wish.language) == (0, "fast", None)
    assert wish.chunking is not None
    assert wish.chunking.max_tokens == 200
    assert wish.policy is not None
    assert wish.policy.canary == (CanaryStep(5, 60.0), CanaryStep(50, 10.0))
    assert (wish.policy.approval, wish.policy.soak_seconds) == (Approval.MANUAL, 9.0)
    assert "phase          provisioning" in said.out


def test_a_dry_run_tells_what_it_would_build_and_wants_nothing(
    program: Program, notes: str
) -> None:
    said = program("collections", "update", notes, "--encoder", "fast", "--dry-run")
    assert said.out.startswith("would build v2-11111111 with fast: 3 documents, about 9 chunks")
    assert program.mesh.wishes == []


def test_a_command_goes_with_its_reason(program: Program, notes: str) -> None:
    program("migrations", "approve", notes, "--reason", "looked at it")
    assert program.mesh.told == [(MigrationCommand.APPROVE, "looked at it")]


def test_without_a_collection_all_migrations_are_listed(program: Program, notes: str) -> None:
    assert json.loads(program("migrations", "show", "--json").out)["collection"] == notes
    assert program("migrations", "show").out.startswith("notes")


def test_golden_questions_are_kept_from_a_file(
    program: Program, notes: str, tmp_path: Path
) -> None:
    (tmp_path / "golden.jsonl").write_text('{"question": "a", "relevant": {"b": 1}}\n')
    said = program("evaluate", "keep", str(tmp_path / "golden.jsonl"), "-c", notes)
    assert said.out == "notes keeps 1 golden questions (digest)\n"
    assert "v1-00000000 → v2-11111111  pass" in program("evaluate", "history", "-c", notes).out
