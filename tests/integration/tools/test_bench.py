"""The load generator of the benchmarks hides nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tools.bench.__main__ import ROWS, main
from tools.bench.hop import processor_seconds
from tools.bench.loads import Latencies, offer, one_by_one, shows_a_stall
from tools.bench.page import Goal, Table, write
from tools.bench.texts import documents


async def test_a_planted_stall_of_everything_is_seen() -> None:
    assert await shows_a_stall(0.3)


async def test_a_load_that_waits_for_answers_would_not_see_it() -> None:
    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            time.sleep(0.3)  # noqa: ASYNC251 - the stall

    seen = await one_by_one(call, 2_000)
    assert seen.quantile(0.99) < 0.27


async def test_a_slow_answer_delays_no_other_call() -> None:
    begun: list[float] = []

    async def call() -> None:
        begun.append(time.perf_counter())
        await asyncio.sleep(0.2)

    seen = await offer(call, a_second=100, seconds=0.2)
    assert len(seen.seconds) == len(begun) == 20
    assert begun[10] - begun[0] < 0.2


async def test_failures_are_counted() -> None:
    async def call() -> None:
        raise KeyError("gone")

    assert (await offer(call, a_second=100, seconds=0.05)).failed == 5


@pytest.mark.parametrize(("share", "seconds"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_quantile_is_a_latency_that_was_seen(share: float, seconds: float) -> None:
    assert Latencies((1.0, 2.0, 3.0, 4.0)).quantile(share) == seconds


def test_a_part_that_is_measured_again_replaces_itself_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for title, measured in (("One", "1 ms"), ("Two", "2 ms"), ("One", "3 ms")):
        write(Table(title, "About.", (Goal("p50", measured, "-", None, "-"),)), page)
    text = page.read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## One", "## Two"]
    assert "1 ms" not in text
    assert text.index("3 ms") < text.index("2 ms")


async def test_a_benchmark_that_nobody_knows_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        await main(["I1", "I9"])
    assert "there is no I9" in capsys.readouterr().err


def test_every_benchmark_is_where_the_table_says() -> None:
    for place in ROWS.values():
        assert callable(resolve_name(f"tools.bench.{place}"))


def test_documents_to_measure_with_are_no_two_alike() -> None:
    made = list(itertools.islice(documents(None, sentences=20, seed=1), 30))
    assert len(set(made)) == len(made)
    assert made == list(itertools.islice(documents(None, sentences=20, seed=1), 30))


def test_the_processors_time_of_all_threads_is_counted() -> None:
    before = processor_seconds(os.getpid())
    sum(range(2_000_000))
    assert processor_seconds(os.getpid()) > before
