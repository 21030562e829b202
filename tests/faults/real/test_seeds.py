"""A mesh on real servers keeps its promises whatever a seed does to it."""

from __future__ import annotations

import os

import pytest

from tests.faults.real.mesh import RealMesh
from tests.faults.real.trial import Verdict, run_seed

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

SEEDS = [int(seed) for seed in (os.environ.get("SEED") or "1 2 3 4 5 6 7 8").split()]


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_fails_nothing_is_lost_doubled_stale_or_foreign(
    mesh: RealMesh, verdicts: list[Verdict], seed: int
) -> None:
    # EV-1
    verdict = await run_seed(mesh, seed)
    print(verdict)
    verdicts.append(verdict)
    assert not verdict.violations
    assert verdict.answered
    assert verdict.chunks
    assert verdict.searches
