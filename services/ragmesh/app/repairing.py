"""Repairs the stores of a data directory while no mesh runs on it: a mesh without its doors.

Everything that a reconciler finds is repaired to its end, by the worker that would do it in a
mesh; then it is looked at once more.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from ragmesh.app.modules import MODULES
from ragmesh.app.run import open_modules
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.events.sqlite_file import EventFile
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.errors import DeadlineError, StoreDamagedError
from ragmesh.indexing.building import Indexing
from ragmesh.indexing.reconciler import Reconciler, ReconcilerLimits, Repairs
from ragmesh.indexing.relay import Relay
from ragmesh.indexing.undertaker import Undertaker

_FIRST = ("telemetry", "parsers", "cache", "embedding", "retrieval")
_BEHIND_EVENTS = ("events", "catalog", "indexer")
_EVERYTHING_BYTES = 1 << 62
_LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
"""Without any document ending for so long, what is left is told instead of waited for."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was repaired, and what could not be."""

    repairs: Repairs
    events_set_aside: bool
    """The event log was damaged; the catalog has brought back every event that was needed."""
    unfinished: int
    """Documents that still wait for a worker: a cause that may pass keeps them."""
    left: Repairs
    """What a second look found."""


async def repair_stores(settings: Settings, *, patience: float = PATIENCE_SECONDS) -> Report:
    """Repair the stores of these settings; StoreInUseError while a mesh runs on them."""
    for name in (*_FIRST, *_BEHIND_EVENTS):
        MODULES[name].load()
    async with Lifecycle() as life:
        wiring = Wiring(settings, life, SystemClock(), in_cluster=False)
        await open_modules(wiring, _FIRST)
        set_aside = await asyncio.to_thread(_set_damaged_events_aside, settings)
        await open_modules(wiring, _BEHIND_EVENTS)
        return await _repair(wiring, patience=patience, set_aside=set_aside)
    raise DeadlineError("the repair was broken off; run it again")


async def _repair(wiring: Wiring, *, patience: float, set_aside: bool) -> Report:
    catalog: Indexing = wiring.running["catalog"]
    log, tasks = wiring.running["events"], wiring.life.tasks
    # Before the relay runs: what it has just relayed would pass for work that got lost.
    repairs = await _reconciler(wiring, catalog).reconcile()
    async with AsyncExitStack() as stack:
        relay = Relay(catalog.ledger, log, wiring.clock)
        await stack.enter_async_context(tasks.running("relay", relay.run()))
        undertaker = Undertaker(catalog.ledger.catalog)
        await stack.enter_async_context(tasks.running("undertaker", undertaker.run(log)))
        unfinished = await _until_idle(catalog, patience)
        left = await _reconciler(wiring, catalog).reconcile()
        return Report(repairs, set_aside, unfinished, left)


def _reconciler(wiring: Wiring, catalog: Indexing) -> Reconciler:
    """One that looks at everything at once."""
    limits: ReconcilerLimits = wiring.settings.indexing.reconciler_limits()
    return Reconciler(
        catalog.ledger,
        catalog.blobs,
        wiring.running["retrieval"],
        wiring.clock,
        replace(limits, checked_bytes=_EVERYTHING_BYTES, read_after_seconds=0.0),
    )


async def _until_idle(catalog: Indexing, patience: float) -> int:
    """Wait until no document waits, or none has ended for too long; how many wait then."""
    loop = asyncio.get_running_loop()
    least, since = -1, loop.time()
    while True:
        backlog = await catalog.ledger.get_backlog()
        waiting = backlog.live + backlog.bulk
        if waiting != least:
            least, since = waiting, loop.time()
        if waiting == 0 or loop.time() - since > patience:
            return waiting
        await asyncio.sleep(_LOOK_SECONDS)


def _set_damaged_events_aside(settings: Settings) -> bool:
    """Rename an event log that cannot be read; whether it was so. Only whoever locks it may."""
    path = settings.events_path
    if path is None or not path.exists():
        return False
    try:
        EventFile.open(path).close()
    except StoreDamagedError:
        for file in (path, *(path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))):
            if file.exists():
                file.replace(file.with_name(f"{file.name}.damaged"))
        return True
    return False
