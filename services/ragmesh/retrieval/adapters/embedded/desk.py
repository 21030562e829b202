"""Where searches of one index version wait for a thread, so that those that wait share a scan.

A scan is bound by memory: eight questions in one matrix product cost little more than one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from ragmesh.chassis.executors import Executor
from ragmesh.chassis.requests import checkpoint
from ragmesh.core.errors import DeadlineError
from ragmesh.retrieval.adapters.embedded.ranking import Prepared, Ranker
from ragmesh.retrieval.ports import Rankings, RankRequest

MOST_TOGETHER = 16
"""More in one product would let the first of them wait for long."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A search that waits, in the context of who asked."""

    ranker: Ranker
    request: RankRequest
    context: Context = field(default_factory=copy_context)
    result: Future[Rankings] = field(default_factory=Future)
    prepared: Prepared | None = None

    def prepare(self) -> None:
        """Find out which rows it may find; whoever asked is told of an error."""

        def prepare() -> None:
            self.prepared = self.ranker.prepare(self.request)

        self._try(prepare)

    def finish(self, rows: Sequence[int]) -> None:
        """Make its rankings with the rows that the scan found."""
        prepared = self.prepared
        if prepared is not None:
            self._try(lambda: self.result.set_result(self.ranker.finish(prepared, rows)))

    def fail(self, error: BaseException) -> None:
        """Tell of an error, unless there is a result."""
        if not self.result.done():
            self.result.set_exception(error)

    def give_up(self, work: Future[None]) -> None:
        """Wait no longer for work that was taken back, unless somebody is at it."""
        if work.cancelled():
            self.result.cancel()

    @property
    def is_waited_for(self) -> bool:
        """Whether who asked still waits."""
        try:
            self.context.run(checkpoint)
        except DeadlineError:
            return False
        return True

    def _try(self, work: Callable[[], None]) -> None:
        try:
            self.context.run(work)
        except BaseException as error:  # handed to who asked, in its own task
            self.fail(error)


class Desk:
    """Takes searches in; whichever thread is free serves those that wait for the same moment."""

    def __init__(self, threads: Executor) -> None:
        self.threads = threads
        self._waiting: deque[Waiting] = deque()
        self._turn = threading.Lock()

    async def rank(self, ranker: Ranker, request: RankRequest) -> Rankings:
        """The rankings; ExhaustedError when too many wait."""
        waiting = Waiting(ranker, request)
        with self._turn:
            self._waiting.append(waiting)
        try:
            # One piece of work for each that waits; one whose search was taken along by another
            # is taken back, or finds nothing to do.
            work = self.threads.submit(self._serve)
            work.add_done_callback(waiting.give_up)
            try:
                return await asyncio.wrap_future(waiting.result)
            finally:
                work.cancel()
        finally:
            with self._turn:
                # Asked first: the error of `remove` prints what it did not find, vectors and all.
                if waiting in self._waiting:
                    self._waiting.remove(waiting)

    def _serve(self) -> None:
        """Rank for a share of those that wait."""
        taken = self._take()
        for one in taken:
            one.prepare()
        ready = [(one, one.prepared) for one in taken if one.prepared is not None]
        if not ready:
            return

        def someone_waits() -> None:
            if not any(one.is_waited_for for one, _ in ready):
                raise DeadlineError("nobody waits for the scan any more")

        try:
            found = ready[0][0].ranker.scan([prepared for _, prepared in ready], someone_waits)
        except BaseException as error:  # handed to all who wait for the scan
            for one, _ in ready:
                one.fail(error)
            return
        for (one, _), rows in zip(ready, found, strict=True):
            one.finish(rows)

    def _take(self) -> list[Waiting]:
        """Those that share a moment with the first, as many as are this thread's share."""
        with self._turn:
            if not self._waiting:
                return []
            snapshot = self._waiting[0].ranker.snapshot
            same = [one for one in self._waiting if one.ranker.snapshot is snapshot]
            share = -(-len(same) // self.threads.threads)
            taken = same[: min(share, MOST_TOGETHER)]
            for one in taken:
                self._waiting.remove(one)
        return [one for one in taken if one.result.set_running_or_notify_cancel()]
