"""Notices when the event loop does one thing for too long, and says where it was.

Everybody in the process waits for the loop: a call that computes or waits in it for longer than a
tenth of a second is a defect. The loop leaves a mark again and again; a thread beside it looks at
the mark, and when it is overdue, at the loop's stack. Time in which the machine let the loop's
thread wait for a core does not count.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import FrameType

_log = logging.getLogger(__name__)
_MARKS_PER_LIMIT = 4
_LOOKS_PER_LIMIT = 2
"""Enough to look in the middle of whatever holds the loop up for longer than the limit."""
_FRAMES = 6


@dataclass(frozen=True, slots=True)
class Block:
    """The loop did nothing else for so long."""

    seconds: float
    where: str
    """Its innermost calls in the middle of it, the outermost of them first."""


def tell(block: Block) -> None:
    """Say it in the log."""
    milliseconds = round(block.seconds * 1_000)
    _log.warning(
        "the event loop was blocked",
        extra={"milliseconds": milliseconds, "where": block.where},
    )


@asynccontextmanager
async def watching_loop(
    limit_seconds: float, on_block: Callable[[Block], None] = tell
) -> AsyncIterator[None]:
    """Watch the running loop for the time of the block; `on_block` is called in the loop."""
    watch = _Watch(asyncio.get_running_loop(), limit_seconds, on_block)
    watch.start()
    try:
        yield
    finally:
        watch.stop()


class _Watch:
    """The marks of a loop and the thread that looks at them."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limit: float, on_block: Callable[[Block], None]
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._pause = limit / _MARKS_PER_LIMIT
        self._on_block = on_block
        self._ident = threading.get_ident()
        self._marked = time.monotonic()
        self._waits = _CoreWaits()
        self._starved = self._waits.seconds()
        self._where = ""
        self._timer: asyncio.TimerHandle | None = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._look, name="loop-watch", daemon=True)

    def start(self) -> None:
        self._timer = self._loop.call_later(self._pause, self._mark)
        self._thread.start()

    def stop(self) -> None:
        self._enough.set()
        if self._timer is not None:
            self._timer.cancel()
        self._waits.close()

    def _mark(self) -> None:
        """Leave a mark; runs in the loop, late if something held it up."""
        now, starved = time.monotonic(), self._waits.seconds()
        blocked = now - self._marked - self._pause - (starved - self._starved)
        where, self._where = self._where, ""
        if blocked > self._limit:
            self._on_block(Block(blocked, where))
            # What was done to tell it is not the loop's fault.
            now, starved = time.monotonic(), self._waits.seconds()
        self._marked, self._starved = now, starved
        self._timer = self._loop.call_later(self._pause, self._mark)

    def _look(self) -> None:
        while not self._enough.wait(self._limit / _LOOKS_PER_LIMIT):
            overdue = time.monotonic() - self._marked - self._pause
            if overdue > self._limit / 2 and not self._where:
                self._where = _stack(sys._current_frames().get(self._ident))


def _stack(frame: FrameType | None) -> str:
    calls: list[str] = []
    while frame is not None and len(calls) < _FRAMES:
        module = str(frame.f_globals.get("__name__", ""))
        calls.append(f"{module}.{frame.f_code.co_qualname}:{frame.f_lineno}")
        frame = frame.f_back
    return " > ".join(reversed(calls))


class _CoreWaits:
    """How long the thread that makes this was ready to run and did not; 0 where nobody counts it.

    The file stays open: a mark is left forty times a second for as long as the process lives.
    """

    def __init__(self) -> None:
        path = f"/proc/self/task/{threading.get_native_id()}/schedstat"
        try:
            self._file: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def seconds(self) -> float:
        if self._file is None:
            return 0.0
        return int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
