"""`ragmesh migrations`, and what `collections update` says about an index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragmesh.core.migrations import (
    Approval,
    CanaryStep,
    GateVerdict,
    MetricBound,
    MetricVerdict,
    MigrationCommand,
)
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from tests.unit.app.cli.conftest import Program
from tests.unit.app.cli.fake_indexes import NOON


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


def test_a_wish_says_of_single_metrics_how_much_they_may_lose(program: Program, notes: str) -> None:
    bounds = ("--max-regression", "0.05", "--max-regression", "recall=0")
    program("collections", "update", notes, "--encoder", "fast", *bounds)
    (wish,) = program.mesh.wishes
    assert wish.policy is not None
    assert wish.policy.max_regression == 0.05
    assert wish.policy.max_regressions == (MetricBound("recall", 0.0),)


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (("recall=0", "mrr=0.1", "recall=0.5"), "'recall' is named twice"),
        (("0", "recall=0.1", "0.5"), "the number without a name is said twice"),
    ],
)
def test_a_metric_that_is_named_twice_is_wrong_usage(
    program: Program, notes: str, bounds: tuple[str, ...], sentence: str
) -> None:
    said = [part for bound in bounds for part in ("--max-regression", bound)]
    refused = program("collections", "update", notes, "--encoder", "fast", *said)
    assert refused.code == 2
    assert sentence in refused.err
    assert program.mesh.wishes == []


@pytest.mark.parametrize(
    ("bound", "code", "sentence"),
    [
        ("speed=0.1", 1, "'speed' is none of recall, ndcg, mrr"),
        ("recall=2", 1, "that of recall must lie in [0, 1]"),
        ("recall=little", 2, "'recall=little' does not end in a number"),
    ],
)
def test_a_bound_that_is_none_is_refused_with_a_sentence(
    program: Program, notes: str, bound: str, code: int, sentence: str
) -> None:
    said = program("collections", "update", notes, "--encoder", "fast", "--max-regression", bound)
    assert said.code == code
    assert sentence in said.err
    assert program.mesh.wishes == []


@pytest.mark.parametrize(
    ("description", "encoder", "refusal"),
    [("a\x07b", "fast", "CONTROL_CHARACTERS"), ("better", "nope", "ENCODER_NOT_FOUND")],
)
def test_an_update_that_is_refused_in_part_changes_nothing(
    program: Program, notes: str, description: str, encoder: str, refusal: str
) -> None:
    said = program(
        "collections", "update", notes, "--description", description, "--encoder", encoder
    )
    assert said.code == 1
    assert said.err.startswith(f"ragmesh: {refusal}")
    assert (program.mesh.wishes, program.mesh.changes) == ([], [])


def test_a_dry_run_tells_what_it_would_build_and_wants_nothing(
    program: Program, notes: str
) -> None:
    said = program("collections", "update", notes, "--encoder", "fast", "--dry-run")
    assert said.out.startswith("would build v2-11111111 with fast: 3 documents, about 9 chunks")
    assert "about 9 chunks, 1000 tokens to be embedded (about $0.12) and 3.0 MiB" in said.out
    said = program("collections", "update", notes, "--encoder", "fake", "--dry-run")
    assert "1000 tokens to be embedded and 3.0 MiB" in said.out
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
    newest, oldest = program("evaluate", "history", "-c", notes).out.splitlines()
    assert newest.endswith("  v2-11111111 on schedule  kept")
    assert oldest.endswith("  v1-00000000 → v2-11111111  pass")


def test_what_was_found_on_schedule_is_shown_with_its_reason(program: Program, notes: str) -> None:
    assert "quality" not in program("migrations", "show", notes).out
    metric = QualityMetric("recall", 0.5, 1.0, -0.6, -0.4, 24)
    program.mesh.quality = Quality(
        "v1-00000000", QualityVerdict.FALLEN, NOON, (metric,), "recall: it fell"
    )
    said = program("migrations", "show", notes)
    assert "quality        fallen at 2025-05-01T12:00:00+00:00: recall: it fell\n" in said.out
    assert "recall now     1.0000 → 0.5000 [-0.6000, -0.4000] over 24 questions\n" in said.out
    assert json.loads(program("migrations", "show", notes, "--json").out)["quality"]["at"]


def test_a_collection_is_released_with_its_reason(program: Program, notes: str) -> None:
    said = program("collections", "release", notes, "--reason", "its cluster is gone")
    assert (said.code, said.out) == (0, "released  notes\n")
    assert program.mesh.released == [(notes, "its cluster is gone")]
    assert json.loads(program("collections", "release", notes, "--json").out)["released"]


def test_a_slice_that_did_not_pass_is_shown_by_name(program: Program, notes: str) -> None:
    program.mesh.judged = (
        MetricVerdict("recall", 1.0, 0.5, -0.7, -0.3, 20, GateVerdict.REFUSED, "rooms"),
    )
    line = 'recall         1.0000 → 0.5000 [-0.7000, -0.3000] over 20 questions of "rooms": refused'
    assert line in program("migrations", "show", notes).out.splitlines()
    (shown,) = json.loads(program("migrations", "show", notes, "--json").out)["slice_verdicts"]
    assert (shown["slice"], shown["verdict"]) == ("rooms", "refused")
