"""Seeds deal out all faults before any comes again, and what is finished is not done again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults.real.failing import FAULTS
from tests.faults.real.trial import FAULTS_OF_A_SEED, Verdict, faults_of
from tests.soak.soak_faults import Kept, Seed


def test_every_fault_strikes_about_as_often_as_any_other() -> None:
    seeds = range(1, 201)
    struck = Counter(fault for seed in seeds for fault in faults_of(seed))
    assert struck.keys() == FAULTS.keys()
    assert max(struck.values()) - min(struck.values()) <= 1
    assert struck.total() == len(seeds) * FAULTS_OF_A_SEED


def test_a_seed_is_the_same_whenever_it_is_asked_for() -> None:
    assert faults_of(7) == faults_of(7)
    assert faults_of(7) != faults_of(8)


def test_seeds_that_are_finished_are_kept_for_the_next_call(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "soak" / "commit.jsonl")
    assert kept.seeds() == []
    kept.add([Seed.of(Verdict(2, ("a", "b"), answered=3), ["left"])])
    kept.add([Seed.of(Verdict(1, ("c",)))])
    assert [(seed.seed, seed.faults, seed.violations) for seed in kept.seeds()] == [
        (1, ("c",), ()),
        (2, ("a", "b"), ("left",)),
    ]
