"""What lasts for minutes in earnest, for as long as `LASTING` says, costs time and nothing else."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.faults.real import lasting
from tests.faults.real.failing import Fault
from tests.faults.real.mesh import RealMesh
from tests.faults.real.trial import Verdict, run_trial, swept

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("LASTING") or 10.0)
"""Longer than a group of consumers misses a member, and than any call waits."""
FAULTS: dict[str, Fault] = {
    "Kafka away": partial(lasting.kafka_away, SECONDS),
    "Redis frozen": partial(lasting.redis_frozen, SECONDS),
    "loop of indexing blocked": partial(lasting.loop_blocked, "indexing-1", SECONDS),
    "loop of an indexer blocked": partial(lasting.loop_blocked, "indexer-1", SECONDS),
    "10 joins and leaves": lasting.joins_and_leaves,
    "an old worker wakes up": partial(lasting.old_worker_wakes_up, SECONDS),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_what_lasts_costs_time_and_nothing_else(
    mesh: RealMesh, verdicts: list[Verdict], name: str
) -> None:
    # EV-3, EV-5
    verdict = await run_trial(mesh, list(FAULTS).index(name), [(name, FAULTS[name])])
    print(verdict)
    verdicts.append(verdict)
    assert not verdict.violations
    assert verdict.answered


async def test_what_was_replaced_is_gone_a_minute_later(
    mesh: RealMesh, verdicts: list[Verdict]
) -> None:
    left = await swept(mesh, verdicts)
    assert not [told for strays in left.values() for told in strays]
