"""The policy of a migration in its row, beside what the last release reads and wrote there."""

from __future__ import annotations

import json
from typing import Any

from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import MetricBound, MigrationPolicy
from ragmesh.indexing.adapters.catalog.migration_texts import state_of, state_text
from ragmesh.indexing.migration_state import BuildSpec, MigrationState
from ragmesh.testing.embedding import fake_fingerprint

POLICY = MigrationPolicy(
    max_regression=0.05, max_regressions=(MetricBound("recall", 0.0), MetricBound("ndcg", 0.1))
)
STATE = MigrationState("c", BuildSpec("hash", fake_fingerprint(), Chunking(100, 10), "en"), POLICY)


def row(text: str) -> dict[str, Any]:
    return {"collection_uid": "c", "phase": STATE.phase.value, "version": 0, "state": text}


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
