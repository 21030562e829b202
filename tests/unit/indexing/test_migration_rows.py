"""A migration in its row, beside what the last release reads and wrote there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import (
    GateVerdict,
    MetricBound,
    MetricVerdict,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.indexing.adapters.catalog.migration_texts import state_of, state_text
from ragmesh.indexing.migration_state import BuildSpec, MigrationState
from ragmesh.testing.embedding import fake_fingerprint

POLICY = MigrationPolicy(
    max_regression=0.05, max_regressions=(MetricBound("recall", 0.0), MetricBound("ndcg", 0.1))
)
STATE = MigrationState("c", BuildSpec("hash", fake_fingerprint(), Chunking(100, 10), "en"), POLICY)


def row(text: str, phase: MigrationPhase = STATE.phase) -> dict[str, Any]:
    return {"collection_uid": "c", "phase": phase.value, "version": 0, "state": text}


def test_a_row_keeps_every_bound() -> None:
    assert state_of(row(state_text(STATE))) == STATE


def test_the_last_release_reads_the_strictest_bound_as_that_of_all_metrics() -> None:
    assert json.loads(state_text(STATE))["policy"]["max_regression"] == 0.0


def test_what_the_last_release_wrote_of_all_metrics_is_read_of_each() -> None:
    fields = json.loads(state_text(STATE))
    del fields["policy"]["default_regression"], fields["policy"]["max_regressions"]
    fields["policy"]["max_regression"] = 0.3
    found = state_of(row(json.dumps(fields))).policy
    assert (found.max_regression, found.max_regressions) == (0.3, ())


P, G = MigrationPhase, GateVerdict


@pytest.mark.parametrize(
    ("phase", "reason", "verdict", "told"),
    [
        (P.ABORTED, "ABORTED", G.PASS, None),
        (P.ABORTED, "SPEC_CHANGED", G.REFUSED, None),
        (P.FAILED, "ROLLED_BACK", G.PASS, None),
        (P.FAILED, "ROLLED_BACK", G.INCONCLUSIVE, None),
        (P.FAILED, "QUALITY_GATE_FAILED", G.REFUSED, G.REFUSED),
        (P.FAILED, "SPEC_REFUSED", G.PASS, G.PASS),
        (P.IDLE, "", G.PASS, G.PASS),
        (P.CANARY, "", G.INCONCLUSIVE, G.INCONCLUSIVE),
    ],
)
def test_what_the_last_release_left_of_a_version_that_is_gone_is_not_read(
    phase: MigrationPhase, reason: str, verdict: GateVerdict, told: GateVerdict | None
) -> None:
    judged = (MetricVerdict("recall", 0.4, 0.8, 0.3, 0.5, 40, verdict),)
    left = replace(STATE, reason=reason, verdict=verdict, verdicts=judged)
    found = state_of(row(state_text(left), phase))
    assert (found.verdict, found.verdicts) == (told, judged if told else ())
