"""How far jobs are, in memory: watchers are woken at every change, the catalog once a second."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ragmesh.core.clock import Clock
from ragmesh.core.documents import Job, JobState, Stage
from ragmesh.indexing.sharing import Signal, Signals, Subject

_MOST_JOBS = 10_000
_WRITTEN_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """The last that a worker said about a running job."""

    stage: Stage
    percent: int
    timings_ms: tuple[tuple[str, float], ...]
    written_at: float
    """Monotonic seconds at which the catalog last had it."""


class JobBoard:
    """Progress of running jobs, who watches them and which were cancelled under a worker."""

    def __init__(self, clock: Clock, signals: Signals) -> None:
        self._clock = clock
        self._signals = signals
        signals.listen(Subject.JOBS, self._hear)
        self._progress: OrderedDict[str, Progress] = OrderedDict()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def report(
        self, job_id: str, stage: Stage, percent: int, timings_ms: tuple[tuple[str, float], ...]
    ) -> bool:
        """Keep the progress; whether it is time to write it to the catalog."""
        now = self._clock.monotonic()
        known = self._progress.get(job_id)
        is_due = known is None or now - known.written_at >= _WRITTEN_EVERY_SECONDS
        written_at = now if known is None or is_due else known.written_at
        self._progress[job_id] = Progress(stage, percent, timings_ms, written_at)
        self._progress.move_to_end(job_id)
        if len(self._progress) > _MOST_JOBS:
            self._progress.popitem(last=False)
        self._wake(job_id)
        # The first report comes right after the job was written RUNNING: nothing is due yet.
        return known is not None and is_due

    def changed(self, job_ids: Iterable[str]) -> None:
        """The catalog has a new state of these jobs; what was reported before is over."""
        for job_id in job_ids:
            self._progress.pop(job_id, None)
            self._wake(job_id)
            self._signals.tell(Signal(Subject.JOBS, job_id))

    def cancelled(self, job_id: str) -> None:
        """Remember that a worker must stop."""
        self._cancelled[job_id] = None
        if len(self._cancelled) > _MOST_JOBS:
            self._cancelled.popitem(last=False)

    def is_cancelled(self, job_id: str) -> bool:
        """Whether the job was cancelled in this process."""
        return job_id in self._cancelled

    def follows(self, job_id: str) -> bool:
        """Whether a worker of this process is at the job."""
        return job_id in self._progress

    def shown(self, job: Job) -> Job:
        """The job with its latest progress."""
        progress = self._progress.get(job.job_id)
        if progress is None or job.state is not JobState.RUNNING:
            return job
        return replace(
            job,
            stage=progress.stage,
            percent=progress.percent,
            timings_ms=progress.timings_ms,
        )

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the job within the block."""
        changed = asyncio.Event()
        watchers = self._watchers.setdefault(job_id, set())
        watchers.add(changed)
        try:
            yield changed
        finally:
            watchers.discard(changed)
            if not watchers:
                self._watchers.pop(job_id, None)

    def _hear(self, signal: Signal) -> None:
        """Another process has changed a job, or something may have been missed."""
        for job_id in [signal.name] if signal.name else list(self._watchers):
            self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for changed in self._watchers.get(job_id, ()):
            changed.set()
