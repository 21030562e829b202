"""CPU work leaves the event loop: bounded thread pools sized to the cores that are ours."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import uvloop

from ragmesh.core.errors import ExhaustedError, UnavailableError

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

_CGROUP = Path("/sys/fs/cgroup")
_WAITING_PER_THREAD = 64


class Executor:
    """A pool of threads with a bounded queue: what does not fit is refused, not queued."""

    def __init__(self, name: str, threads: int, *, waiting: int, niceness: int) -> None:
        self.name = name
        self.threads = threads
        self._room = threading.BoundedSemaphore(threads + waiting)
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix=name, initializer=_start_thread, initargs=(niceness,)
        )

    async def run(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """The function's result from a thread that sees the caller's context variables.

        ExhaustedError when the queue is full. Cancelling takes back what has not begun; what
        has begun runs to its end and keeps its place until then.
        """
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def submit(
        self,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """The same for a caller that waits for something else than the function's result."""
        if not self._room.acquire(blocking=False):
            raise ExhaustedError(
                f"the {self.name} threads have too much waiting",
                metadata={"executor": self.name},
                retry_after_seconds=1.0,
            )
        context = copy_context()
        try:
            work = self._pool.submit(context.run, partial(function, *args, **kwargs))
        except RuntimeError as error:
            self._room.release()
            raise UnavailableError(f"the {self.name} threads are stopping") from error
        work.add_done_callback(lambda _work: self._room.release())
        return work

    def close(self) -> None:
        """Drop what has not begun and return when the rest is done; blocks."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@asynccontextmanager
async def executor(
    name: str, threads: int | None = None, *, waiting: int | None = None, niceness: int = 0
) -> AsyncIterator[Executor]:
    """A named pool for the time of the block; threads default to the usable cores.

    `waiting` is how many calls may queue; `niceness` > 0 lowers the threads' priority, and that
    of threads which they start in turn.
    """
    threads = usable_cores() if threads is None else threads
    waiting = threads * _WAITING_PER_THREAD if waiting is None else waiting
    pool = Executor(name, threads, waiting=waiting, niceness=niceness)
    try:
        yield pool
    finally:
        await asyncio.to_thread(pool.close)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a process's main coroutine on uvloop, to its end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Whole cores this process may use, at least one: its affinity, cut by its cgroup's quota."""
    cores = _affinity()
    quota = _quota_v2(cgroup / "cpu.max")
    if quota is None:
        quota = _quota_v1(cgroup / "cpu")
    return cores if quota is None else max(1, min(cores, int(quota)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_v2(path: Path) -> float | None:
    match _read(path).split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
            return int(quota) / int(period)
        case _:
            return None


def _quota_v1(folder: Path) -> float | None:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    if not (quota.isdigit() and period.isdigit() and int(period) > 0):
        return None  # -1 stands for no quota
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""


def _start_thread(niceness: int) -> None:
    if niceness and hasattr(os, "setpriority"):
        # On Linux the id of a thread names that thread alone, and its children inherit from it.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
