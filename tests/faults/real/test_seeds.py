"""A mesh on real servers keeps its promises whatever a seed does to it."""

from __future__ import annotations

import os

import pytest

from tests.faults.real.mesh import RealMesh
from tests.faults.real.trial import run_seed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

EIGHT = "2 7 8 15 22 24 26 28"
"""Each server but one is killed by them, and each process that documents pass through."""
SEEDS = [int(seed) for seed in (os.environ.get("SEED") or EIGHT).split()]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_fails_nothing_is_lost_doubled_stale_or_foreign(
    mesh: RealMesh, seed: int
) -> None:
    # EV-1
    verdict = await run_seed(mesh, seed)
    print(verdict)
    assert not verdict.violations
    assert verdict.answered
    assert verdict.chunks
    assert verdict.searches
