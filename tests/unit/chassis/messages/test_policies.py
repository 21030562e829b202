"""A policy is never looser to whoever knows less of it."""

from __future__ import annotations

import pytest

from ragmesh.api.types.v1 import migration_pb2
from ragmesh.chassis.messages.migrations import policy_from_message, policy_to_message
from ragmesh.core.migrations import MetricBound, MigrationPolicy

STRICT, LOOSE = MetricBound("recall", 0.0), MetricBound("ndcg", 0.1)


@pytest.mark.parametrize(("bounds", "told"), [((), 0.02), ((LOOSE,), 0.02), ((STRICT, LOOSE), 0.0)])
def test_the_last_release_is_told_the_strictest_bound_as_that_of_all_metrics(
    bounds: tuple[MetricBound, ...], told: float
) -> None:
    message = policy_to_message(MigrationPolicy(max_regressions=bounds))
    assert message.max_regression == told
    assert policy_from_message(message).max_regression == MigrationPolicy().max_regression


def test_what_the_last_release_says_of_all_metrics_is_said_of_each() -> None:
    said = migration_pb2.MigrationPolicy(max_regression=0.3)
    assert policy_from_message(said).max_regression == 0.3
