"""Books and a spool in memory, for tests to look at and to break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragmesh.core.callers import Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.core.usage import Circumstances, Record, RefusalRecord, SightRecord, UsageRecord
from ragmesh.gateway.books import call_of
from ragmesh.testing.clocks import ManualClock


@dataclass(slots=True)
class MemoryBooks:
    """Keeps every record; says what it is told about paying."""

    clock: Clock = field(default_factory=ManualClock)
    records: list[Record] = field(default_factory=list)
    durable: list[Record] = field(default_factory=list)
    """Those that somebody waited for."""
    pays: bool = True
    error: RagmeshError | None = None
    """Raised to who asks whether to pay."""

    @property
    def usage(self) -> list[UsageRecord]:
        """What was used."""
        return [one for one in self.records if isinstance(one, UsageRecord)]

    @property
    def sights(self) -> list[SightRecord]:
        """Who saw what."""
        return [one for one in self.records if isinstance(one, SightRecord)]

    @property
    def refusals(self) -> list[RefusalRecord]:
        """What was refused."""
        return [one for one in self.records if isinstance(one, RefusalRecord)]

    def call(self, caller: Principal, method: str) -> Circumstances:
        """See `Books`."""
        return call_of(caller, method, at=self.clock.now(), request_id="request-1")

    def refused(self, caller: Principal, method: str, refusal: str) -> None:
        """See `Books`."""
        self.records.append(RefusalRecord(self.call(caller, method), refusal))

    def put(self, *records: Record, paid: bool = False) -> None:
        """See `Books`."""
        self.records += records

    async def put_durably(self, *records: Record) -> None:
        """See `Books`."""
        self.records += records
        self.durable += records

    async def may_pay(self, caller: Principal) -> bool:
        """See `Books`."""
        if self.error is not None:
            raise self.error
        return self.pays


class MemorySpoolStore:
    """A SpoolStore that outlives whoever uses it; `error` is raised by every write."""

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}
        self.error: RagmeshError | None = None
        self._last = 0

    async def append(self, records: Sequence[str]) -> None:
        """See `SpoolStore`."""
        if self.error is not None:
            raise self.error
        for record in records:
            self._last += 1
            self.lines[self._last] = record

    async def read(self, limit: int) -> tuple[tuple[int, str], ...]:
        """See `SpoolStore`."""
        return tuple(self.lines.items())[:limit]

    async def remove(self, positions: Sequence[int]) -> None:
        """See `SpoolStore`."""
        for position in positions:
            del self.lines[position]

    async def count(self) -> int:
        """See `SpoolStore`."""
        return len(self.lines)
