"""Nobody sees what is not theirs, in whatever combination they look; thousands are a soak."""

from __future__ import annotations

from pathlib import Path

from tests.soak.isolation import programme

COMBINATIONS = 250


async def test_nobody_sees_what_is_not_theirs(tmp_path: Path) -> None:
    async with programme(tmp_path, seed=1) as made:
        for _ in range(COMBINATIONS):
            await made.step()
    assert made.tally.faults == []
    assert made.tally.combinations == COMBINATIONS
    # It looked at what there was, some of it was hidden, and the cache took part.
    assert min(made.tally.shown, made.tally.hidden, made.tally.cached, made.tally.changes) >= 5
