"""Usage on its way to indexing: off the path of requests, bounded, and not lost with the process.

Records gather in memory for as long as one write takes, wait in a store, and go to indexing in
batches, at least once: it knows them by their ids. Where there is no room, those that cost
nothing are dropped and counted, and paid calls are refused before they are made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.core.usage import Record, Recorded, UsageBatch
from ragmesh.gateway.ports import Records, SpoolStore
from ragmesh.gateway.record_texts import record_from_text, record_to_text

GATEWAY = Machine("gateway")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much waits, and how long."""

    records: int = 100_000
    """Records that may wait; then paid calls are refused."""
    batch: int = 500
    """Most records that are sent at once."""
    pause_seconds: float = 1.0
    """Between two batches that are not full, and before something failed is tried again."""
    longest_pause_seconds: float = 30.0
    """The same, after many failures."""


class Spool:
    """Takes records in at once, and hands them on when it can."""

    def __init__(
        self,
        store: SpoolStore,
        keeper: Records,
        clock: Clock,
        limits: SpoolLimits | None = None,
        *,
        tell: Callable[[Recorded, Sequence[Record]], None] = lambda _recorded, _sent: None,
        count_dropped: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._clock = clock
        self._limits = limits or SpoolLimits()
        self._tell = tell
        self._count_dropped = count_dropped
        self._gathered: list[Record] = []
        self._written = asyncio.Event()
        self._arrived = asyncio.Event()
        self._stored = 0
        self._fails = False
        self._closing = False
        self.dropped = 0
        """Records that there was no room for."""

    @property
    def waiting(self) -> int:
        """Records that are not with indexing yet."""
        return self._stored + len(self._gathered)

    @property
    def is_full(self) -> bool:
        """Whether there is no room, or nothing can be written."""
        return self._fails or self.waiting >= self._limits.records

    def put(self, records: Sequence[Record], *, paid: bool = False) -> None:
        """Take the records in; for what was paid there always is room."""
        if self.is_full and not paid:
            if not self.dropped:
                _log.warning("usage is dropped for want of room")
            self.dropped += len(records)
            self._count_dropped(len(records))
            return
        self._gathered += records
        self._written.clear()
        self._arrived.set()

    async def written(self) -> None:
        """Return once everything that was put so far is durable."""
        await self._written.wait()

    def close(self) -> None:
        """Take what was put to the store; `write` returns then."""
        self._closing = True
        self._arrived.set()

    async def write(self) -> None:
        """Bring records to the store until closed."""
        self._stored = await self._store.count()
        while not self._closing or self._gathered:
            await self._arrived.wait()
            self._arrived.clear()
            if self._gathered and not await self._write_gathered():
                if self._closing:
                    return
                self._arrived.set()
                await self._clock.sleep(self._limits.pause_seconds)

    async def _write_gathered(self) -> bool:
        records, count = self._gathered, len(self._gathered)
        try:
            await self._store.append([record_to_text(record) for record in records[:count]])
        except RagmeshError as error:
            if not self._fails:
                _log.warning("usage cannot be written", extra={"reason": error.reason})
            self._fails = True
            return False
        self._fails = False
        del self._gathered[:count]
        self._stored += count
        if not self._gathered:
            self._written.set()
        return True

    async def send(self) -> None:
        """Hand records on, for ever; while indexing is away they wait."""
        pause = self._limits.pause_seconds
        while True:
            try:
                sent = await self.send_batch()
            except RagmeshError as error:
                _log.warning("usage cannot be handed on and waits", extra={"reason": error.reason})
                await self._clock.sleep(pause)
                pause = min(2 * pause, self._limits.longest_pause_seconds)
                continue
            pause = self._limits.pause_seconds
            if sent < self._limits.batch:
                await self._clock.sleep(pause)

    async def hand_over(self, *, seconds: float) -> None:
        """Hand on what is left, once nothing more comes: where a process stops, its folder may go
        with it. What takes longer than that waits for whoever opens the folder next."""
        try:
            async with asyncio.timeout(seconds):
                while await self.send_batch():
                    pass
        except (RagmeshError, TimeoutError):
            _log.warning("usage is left behind", extra={"records": self._stored})

    async def send_batch(self) -> int:
        """Hand the oldest records on; how many."""
        rows = await self._store.read(self._limits.batch)
        records = [record for _, text in rows if (record := _read(text)) is not None]
        if records:
            recorded = await self._keeper.record_usage(GATEWAY, UsageBatch.of(records))
            self._tell(recorded, records)
        if rows:
            await self._store.remove([position for position, _ in rows])
            self._stored -= len(rows)
        return len(rows)


def _read(text: str) -> Record | None:
    try:
        return record_from_text(text)
    except (ValueError, KeyError, TypeError):
        _log.exception("a record of usage cannot be read and is dropped")
        return None
