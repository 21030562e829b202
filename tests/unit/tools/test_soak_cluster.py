"""What `make soak-cluster` sets out to do, and what its page says of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tests.cluster.releases import SERVICES
from tests.soak.cluster_rollouts import ROLLED, ROLLOUT
from tests.soak.cluster_tasks import (
    BLUE_GREEN,
    CANARY,
    GOOD,
    PARTS,
    RESTARTS,
    Result,
    extent,
    tasks,
)
from tests.soak.keeping import add_lines, read_lines


def test_every_service_is_rolled_out_by_every_strategy_that_the_chart_lets_it_have() -> None:
    rolled = {(one.strategy, one.service) for one in tasks([GOOD])}
    possible = {(strategy, name) for strategy in (CANARY, BLUE_GREEN) for name in SERVICES}
    assert rolled == possible - {(BLUE_GREEN, "indexer")}


def test_each_task_has_a_name_of_its_own_and_a_strategy_is_taken_once() -> None:
    everything = list(tasks(PARTS))
    assert len({one.name for one in everything}) == len(everything) == 30 + 1 + 1 + 2 * 13
    taken = [one.strategy for one in everything if one.strategy]
    assert taken == sorted(taken, key=[CANARY, BLUE_GREEN].index)


def test_a_short_run_does_what_it_was_asked_for_and_the_page_says_how_much_that_is() -> None:
    chosen = list(tasks([RESTARTS, GOOD], restarts=2, services=["cache"]))
    assert [one.name for one in chosen] == [
        "all pods renewed, 1",
        "all pods renewed, 2",
        "canary of cache",
        "blueGreen of cache",
    ]
    done = [Result(one.name, one.part, "0 of 900 calls failed", "0", 60.0) for one in chosen]
    assert extent(done) == (
        "2 of 30 renewals of all pods, no frozen operators, no bursts scaled by KEDA, "
        "2 of 13 rollouts of a good version, no rollouts of an image that is not there; 4 minutes"
    )


def test_new_pods_are_not_judged_by_what_they_answered_before_callers_had_turned_to_them() -> None:
    settle, window = ROLLOUT["settleSeconds"], ROLLOUT["analysis"]["windowSeconds"]
    assert ROLLED["settings"]["internal"]["connection_age_seconds"] < settle
    assert window <= settle


def test_what_was_done_is_read_again_and_a_broken_promise_is_seen_on_the_page(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "soak" / "commit.jsonl"
    assert read_lines(kept) == []
    well = Result("canary of cache", GOOD, "0 of 900 calls failed", "0", 60.04)
    why = "search: 503\n  no | answer"
    badly = Result("canary of gateway", GOOD, "3 of 900 calls failed", "0", 61.0, why)
    for one in (well, badly):
        add_lines(kept, [asdict(one)])
    assert [Result.read(line) for line in read_lines(kept)] == [well, badly]
    assert well.row() == ("canary of cache", "0 of 900 calls failed; 60 s", "0")
    told = "**3 of 900 calls failed; 61 s**: search: 503 no / answer"
    assert badly.row() == ("canary of gateway", told, "0")
