from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from ragmesh.chassis.executors import executor, run, usable_cores
from ragmesh.chassis.requests import current_request_id, serving
from ragmesh.core.errors import ExhaustedError, UnavailableError

ENOUGH = 10.0


class Gate:
    """Work that waits in its thread until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def work(self) -> str:
        self.entered.release()
        assert self.open.wait(ENOUGH)
        return "done"

    async def until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=ENOUGH)


async def test_work_runs_in_a_named_thread_and_gives_its_result() -> None:
    async with executor("scan", 1) as pool:
        name = await pool.run(lambda: threading.current_thread().name)
        assert name.startswith("scan")
        assert await pool.run(divmod, 7, 2) == (3, 1)


async def test_an_error_reaches_the_caller() -> None:
    async with executor("scan", 1) as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0)


async def test_work_sees_the_request_it_is_done_for() -> None:
    async with executor("scan", 1) as pool:
        with serving("r-9"):
            assert await pool.run(current_request_id) == "r-9"
        assert await pool.run(current_request_id) == ""


async def test_what_does_not_fit_the_queue_is_refused() -> None:
    gate = Gate()
    async with executor("scan", 1, waiting=1) as pool, asyncio.TaskGroup() as group:
        first = group.create_task(pool.run(gate.work))
        second = group.create_task(pool.run(gate.work))
        await gate.until_entered()
        with pytest.raises(ExhaustedError) as caught:
            await pool.run(gate.work)
        assert caught.value.retry_after_seconds is not None
        gate.open.set()
        assert [await first, await second] == ["done", "done"]
        assert await pool.run(lambda: "room again") == "room again"


async def test_cancelled_work_that_has_not_begun_is_never_done() -> None:
    gate, touched = Gate(), threading.Event()
    async with executor("scan", 1, waiting=1) as pool:
        async with asyncio.TaskGroup() as group:
            group.create_task(pool.run(gate.work))
            await gate.until_entered()
            waiting = group.create_task(pool.run(touched.set))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            gate.open.set()
        await pool.run(lambda: None)  # behind it in the queue
    assert not touched.is_set()


async def test_cancelled_work_that_runs_keeps_its_place_until_it_ends() -> None:
    gate = Gate()
    async with executor("scan", 1, waiting=0) as pool:
        running = asyncio.ensure_future(pool.run(gate.work))
        await gate.until_entered()
        running.cancel()
        await asyncio.wait({running})
        with pytest.raises(ExhaustedError):
            await pool.run(gate.work)
        gate.open.set()


async def test_a_closing_pool_finishes_what_runs_and_refuses_the_rest() -> None:
    gate = Gate()
    async with executor("scan", 1) as pool:
        running = asyncio.ensure_future(pool.run(gate.work))
        await gate.until_entered()
        gate.open.set()
    assert await running == "done"
    with pytest.raises(UnavailableError):
        await pool.run(gate.work)


async def test_niceness_lowers_the_threads_priority_alone() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async with executor("bulk", 1, niceness=5) as bulk, executor("query", 1) as query:
        assert await bulk.run(niceness) == min(await query.run(niceness) + 5, 19)


def test_the_main_coroutine_runs_on_uvloop() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main()).startswith("uvloop")


def cgroup(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("cpu_max", "cpu.max")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


OURS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, OURS),
        ({"cpu_max": "max 100000\n"}, OURS),
        ({"cpu_max": "100000 100000\n"}, 1),
        ({"cpu_max": "50000 100000\n"}, 1),
        ({"cpu_max": "150000 100000\n"}, 1),
        ({"cpu_max": "99900000 100000\n"}, OURS),
        ({"cpu_max": "nonsense"}, OURS),
        ({"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"}, OURS),
        ({"cpu__cpu.cfs_quota_us": "100000\n", "cpu__cpu.cfs_period_us": "100000\n"}, 1),
    ],
    ids=[
        "no cgroup", "v2 without quota", "v2 one core", "v2 half a core", "v2 one and a half",
        "v2 more than there are", "v2 unreadable", "v1 without quota", "v1 one core",
    ],
)  # fmt: skip
def test_cores_are_the_ones_we_may_use(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    assert usable_cores(cgroup(tmp_path, **files)) == cores
