"""What lasts for minutes in earnest, for as long as `LASTING` says, costs time and nothing else."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.faults.real import lasting
from tests.faults.real.failing import Fault
from tests.faults.real.mesh import RealMesh
from tests.faults.real.trial import run_trial

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]

SECONDS = float(os.environ.get("LASTING") or 10.0)
"""Longer than a group of consumers misses a member, and than any call waits."""
AWAY: dict[str, Fault] = {
    "Kafka away": partial(lasting.kafka_away, SECONDS),
    "Redis frozen": partial(lasting.redis_frozen, SECONDS),
    "loop of indexing blocked": partial(lasting.loop_blocked, "indexing-1", SECONDS),
}
MEMBERS: dict[str, Fault] = {
    "10 joins and leaves": lasting.joins_and_leaves,
    "loop of an indexer blocked": partial(lasting.loop_blocked, "indexer-1", SECONDS),
    "an old worker wakes up": partial(lasting.old_worker_wakes_up, SECONDS),
}


@pytest.mark.parametrize("faults", [AWAY, MEMBERS], ids=["away", "members"])
async def test_what_lasts_costs_time_and_nothing_else(
    mesh: RealMesh, faults: dict[str, Fault]
) -> None:
    # EV-3, EV-5
    verdict = await run_trial(mesh, 0, list(faults.items()))
    print(verdict)
    assert not verdict.violations
    assert verdict.answered
