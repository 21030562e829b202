"""A process lives inside one block: loops first, then what they serve, and down again in reverse.

    async with Lifecycle() as life:
        life.tasks.start("relay", relay.run())
        server = await life.stack.enter_async_context(serve(...))
        await life.until_stopped()

Leaving the block unwinds the stack while the loops still run, so that what drains finds
everything it needs; then the loops are cancelled. SIGTERM and SIGINT end `until_stopped`, or
break off a start that has not got so far, and the block ends without an error. A second signal
ends the process at once. A loop that raises or returns is a defect: `until_stopped` raises
LoopEndedError, the stack unwinds all the same and the process fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any

from ragmesh.core.errors import LoopEndedError, RagmeshError

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


class Loop:
    """A running loop; whoever started it may stop it."""

    def __init__(
        self, name: str, task: asyncio.Task[None], finite: set[asyncio.Task[None]]
    ) -> None:
        self.name = name
        self._task = task
        self._finite = finite

    async def stop(self) -> None:
        """Cancel the loop and return when it is gone."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def finish(self) -> None:
        """Return when the loop has returned by itself: it was told to, in a way of its own."""
        self._finite.add(self._task)
        try:
            await asyncio.wait({self._task})
        finally:
            self._finite.discard(self._task)


class Tasks:
    """Owns every loop of the process; a loop that ends uncalled ends the process."""

    def __init__(self, on_end: Callable[[str, BaseException | None], None]) -> None:
        self._group = asyncio.TaskGroup()
        self._on_end = on_end
        self._running: dict[asyncio.Task[None], str] = {}
        self._finite: set[asyncio.Task[None]] = set()

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> Loop:
        """Run the coroutine, which is expected never to return, until the process stops."""
        task = self._group.create_task(self._watched(name, coroutine), name=name)
        self._running[task] = name

        def forget(_task: asyncio.Task[None]) -> None:
            self._running.pop(task)
            coroutine.close()  # it may never have begun

        task.add_done_callback(forget)
        return Loop(name, task, self._finite)

    @asynccontextmanager
    async def running(self, name: str, coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[Loop]:
        """The same for the time of a block."""
        loop = self.start(name, coroutine)
        try:
            yield loop
        finally:
            await loop.stop()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the loops that run, in the order of their start."""
        return tuple(self._running.values())

    async def open(self) -> None:
        """Begin to own loops."""
        await self._group.__aenter__()

    async def close(self) -> None:
        """Cancel every loop and return when all are gone."""
        for task in list(self._running):
            task.cancel()
        await self._group.__aexit__(None, None, None)

    async def _watched(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        # Errors stay out of the TaskGroup, which would cancel every other loop at once and leave
        # nothing to drain with.
        try:
            await coroutine
        except asyncio.CancelledError as error:
            # Only who was asked to may leave like this: a loop that awaits something cancelled
            # would otherwise vanish unseen.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._on_end(name, error)
        except Exception as error:  # mapped to LoopEndedError by the lifecycle
            self._on_end(name, error)
        else:
            if asyncio.current_task() not in self._finite:
                self._on_end(name, None)


class Lifecycle:
    """The life of a process from its first loop to its exit."""

    def __init__(self, *, exit_now: Callable[[int], None] | None = None) -> None:
        self.tasks = Tasks(self._loop_ended)
        self.stack = AsyncExitStack()
        self.stopping = asyncio.Event()
        """Set from the first signal on: streams end, nothing new is taken up."""
        self._failure: LoopEndedError | None = None
        self._starting = True
        self._broken_off = False
        self._main: asyncio.Task[Any] | None = None
        self._exit_now = _exit_now if exit_now is None else exit_now

    async def __aenter__(self) -> Lifecycle:
        self._main = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)
        await self.tasks.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._starting = False
        self.stopping.set()
        ours = await self._take_back_cancellation(kind)
        try:
            try:
                await self.stack.__aexit__(kind, error, trace)
            finally:
                await self.tasks.close()
        finally:
            loop = asyncio.get_running_loop()
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)
        if self._failure is not None and (ours or kind is None):
            raise self._failure
        return ours

    async def until_stopped(self) -> None:
        """Return when a signal asks the process to stop; LoopEndedError when a loop ended."""
        self._starting = False
        await self.stopping.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self, why: str) -> None:
        """Ask the process to stop, as the first signal does."""
        if not self.stopping.is_set():
            _log.info("stopping", extra={"why": why})
        self._break_off()

    async def _take_back_cancellation(self, kind: type[BaseException] | None) -> bool:
        """Whether the block was left by nothing but our own breaking off of the start."""
        if not self._broken_off or self._main is None:
            return False
        if kind is not asyncio.CancelledError:
            # The block ended before it noticed; the cancellation must not hit the unwinding.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        wanted_by_others = self._main.uncancel() > 0
        return kind is asyncio.CancelledError and not wanted_by_others

    def _signalled(self, number: signal.Signals) -> None:
        if self.stopping.is_set():
            _log.warning("exiting at once", extra={"why": number.name})
            self._exit_now(128 + number)
            return
        self.stop(number.name)

    def _loop_ended(self, name: str, error: BaseException | None) -> None:
        if error is None and self.stopping.is_set():
            return  # it saw that the process stops
        how = "returned" if error is None else f"died of {_cause(error)}"
        _log.critical("a loop ended", exc_info=error, extra={"loop": name, "how": how})
        if self._failure is None:
            self._failure = LoopEndedError(f"the loop {name} {how}", metadata={"loop": name})
            self._failure.__cause__ = error
        self._break_off()

    def _break_off(self) -> None:
        self.stopping.set()
        if self._starting and not self._broken_off and self._main is not None:
            self._broken_off = True
            self._main.cancel()


def _cause(error: BaseException) -> str:
    """What the last line of the process says: a damaged store, say, is not for the log alone."""
    if isinstance(error, RagmeshError):
        return f"{error.reason}: {error.message}"
    return type(error).__name__


def _exit_now(code: int) -> None:
    """End the process without unwinding anything; stores are written to survive this."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)
