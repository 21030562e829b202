"""A whole process: signals, exit codes, locks that end with it, cores of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.locks import StoreLock
from ragmesh.core.errors import StoreInUseError

ENOUGH = 20.0
PROGRAM = """
import asyncio, sys
from ragmesh.chassis.executors import run
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.errors import LoopEndedError

def say(word):
    print(word, flush=True)

async def for_ever():
    try:
        await asyncio.Event().wait()
    finally:
        say("loop ended")

async def die():
    raise KeyError("gone")

async def drain(how):
    say("draining")
    if how == "hang":
        await asyncio.Event().wait()
    say("drained")

async def main(how):
    async with Lifecycle() as life:
        life.tasks.start("relay", for_ever())
        life.stack.push_async_callback(drain, how)
        if how == "slow start":
            say("starting")
            await asyncio.Event().wait()
        if how == "die":
            life.tasks.start("mortal", die())
        say("ready")
        await life.until_stopped()
    return 0

try:
    sys.exit(run(main(sys.argv[1])))
except LoopEndedError as error:
    say(error)
    sys.exit(1)
"""


class Process:
    """A Python program whose words are read one by one."""

    def __init__(self, program: str, *args: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", program, *args], stdout=subprocess.PIPE, text=True
        )

    def word(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def code(self) -> int:
        return self.popen.wait(ENOUGH)


@pytest.fixture
def start() -> Iterator[type[Process]]:
    started: list[Process] = []

    class Owned(Process):
        def __init__(self, program: str, *args: str) -> None:
            super().__init__(program, *args)
            started.append(self)

    yield Owned
    for process in started:
        process.popen.kill()
        process.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_before_the_loops_end_and_exits_0(
    start: type[Process], number: signal.Signals
) -> None:
    process = start(PROGRAM, "serve")
    assert process.word() == "ready"
    process.send(number)
    assert [process.word() for _ in range(3)] == ["draining", "drained", "loop ended"]
    assert process.code() == 0


def test_a_second_signal_exits_at_once(start: type[Process]) -> None:
    process = start(PROGRAM, "hang")
    assert process.word() == "ready"
    process.send(signal.SIGTERM)
    assert process.word() == "draining"
    process.send(signal.SIGTERM)
    assert process.code() == 128 + signal.SIGTERM


def test_a_signal_breaks_off_a_start_and_exits_0(start: type[Process]) -> None:
    process = start(PROGRAM, "slow start")
    assert process.word() == "starting"
    process.send(signal.SIGTERM)
    assert [process.word() for _ in range(2)] == ["draining", "drained"]
    assert process.code() == 0


def test_a_dead_loop_ends_the_process_with_its_name_after_draining(start: type[Process]) -> None:
    process = start(PROGRAM, "die")
    words = [process.word() for _ in range(5)]
    assert words[:4] == ["ready", "draining", "drained", "loop ended"]
    assert "mortal" in words[4]
    assert "KeyError" in words[4]
    assert process.code() == 1


HOLDER = """
import sys, subprocess
from pathlib import Path
from ragmesh.chassis.locks import StoreLock
lock = StoreLock(Path(sys.argv[1]))
lock.take()
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                         stdin=sys.stdin, stdout=subprocess.DEVNULL, close_fds=False)
print("held", flush=True)
child.wait()
"""


def test_a_store_in_use_names_its_path_and_its_process(
    start: type[Process], tmp_path: Path
) -> None:
    path = tmp_path / "catalog.db"
    holder = start(HOLDER, str(path))
    assert holder.word() == "held"
    with pytest.raises(StoreInUseError) as caught:
        StoreLock(path).take()
    assert str(path) in caught.value.message
    assert str(holder.popen.pid) in caught.value.message


def test_a_killed_process_leaves_no_lock_behind_though_its_child_lives(
    start: type[Process], tmp_path: Path
) -> None:
    path = tmp_path / "catalog.db"
    holder = start(HOLDER, str(path))
    assert holder.word() == "held"
    holder.send(signal.SIGKILL)
    holder.code()
    with StoreLock(path):
        assert (tmp_path / "catalog.db.lock").read_text().strip() == str(os.getpid())


def test_only_the_pinned_cores_are_counted(start: type[Process]) -> None:
    process = start(
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from ragmesh.chassis.executors import usable_cores; print(usable_cores())"
    )
    assert process.word() == "1"


async def test_the_systems_clock_waits_and_never_goes_back() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.05)
    assert clock.monotonic() - before >= 0.05
    assert clock.now().tzinfo is not None
