"""A mesh that is killed at any moment ends like one that never was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.rounds import Chain, replayed
from tests.faults.stores import differences

pytestmark = pytest.mark.faults

SEEDS = range(1, 5)


@pytest.mark.timeout(400)
async def test_kills_at_any_moment_leave_what_a_clean_run_leaves(tmp_path: Path) -> None:
    chain = Chain(tmp_path / "killed")
    await chain.begin()
    for seed in SEEDS:
        await chain.round(seed)
    found = await chain.finish()
    print(chain.tally, f"{chain.reader.answers} answers")
    wanted = await replayed(chain.happened, tmp_path / "clean")
    assert wanted.rows
    assert not differences(found, wanted)
    assert chain.reader.answers
    assert not chain.reader.foul
