"""The gateway's books: what every call used and showed, and whether a paid one may be made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ragmesh.core.callers import Principal
from ragmesh.core.clock import Clock
from ragmesh.core.errors import DeniedError, UsageSpoolFullError
from ragmesh.core.ids import new_uid
from ragmesh.core.usage import Circumstances, Record, RefusalRecord
from ragmesh.gateway.budgets import Budgets
from ragmesh.gateway.ports import Books
from ragmesh.gateway.spool import Spool

_DURABLE_SECONDS = 1.0
"""How long a paid answer is held back until its cost is durable; it is put in any case."""
_REFUSALS_SECONDS = 60.0
_MOST_REFUSALS = 1_000


class NoBooks:
    """Takes nothing down: for a gateway that nobody pays for, and that nobody asks about."""

    def call(self, caller: Principal, method: str) -> Circumstances:
        """The caller's call, ending now."""
        return call_of(caller, method, at=datetime.now(UTC), request_id="")

    def refused(self, caller: Principal, method: str, refusal: str) -> None:
        """Nothing."""

    def put(self, *records: Record, paid: bool = False) -> None:
        """Nothing."""

    async def put_durably(self, *records: Record) -> None:
        """Nothing."""

    async def may_pay(self, caller: Principal) -> bool:  # noqa: ARG002 - the port's
        """Always."""
        return True


@dataclass(slots=True)
class Refusals:
    """Makes one record of the first refusal, and one of all others like it in the minute after."""

    _seen: dict[tuple[str, ...], RefusalRecord] = field(default_factory=dict)
    """By who tried what; each with the attempts that no record tells of yet."""

    def note(self, call: Circumstances, refusal: str) -> list[RefusalRecord]:
        """The records that are due with this refusal."""
        due = self._due(call.at)
        key = (call.tenant_uid, call.subject, call.key_id, call.method, refusal)
        known = self._seen.get(key)
        if known is not None:
            self._seen[key] = replace(known, attempts=known.attempts + 1)
        elif len(self._seen) < _MOST_REFUSALS:
            self._seen[key] = RefusalRecord(replace(call, record_id=new_uid()), refusal, 0)
            due.append(RefusalRecord(call, refusal))
        return due

    def _due(self, now: datetime) -> list[RefusalRecord]:
        before = now - timedelta(seconds=_REFUSALS_SECONDS)
        old = [key for key, record in self._seen.items() if record.call.at <= before]
        records = [self._seen.pop(key) for key in old]
        return [record for record in records if record.attempts]


@dataclass(frozen=True, slots=True)
class SpooledBooks:
    """Records go to the spool, and budgets are kept to."""

    spool: Spool
    budgets: Budgets
    clock: Clock
    request_id: Callable[[], str]
    """Id of the request being served."""
    refusals: Refusals = field(default_factory=Refusals)

    def call(self, caller: Principal, method: str) -> Circumstances:
        """The caller's call, ending now."""
        return call_of(caller, method, at=self.clock.now(), request_id=self.request_id())

    def refused(self, caller: Principal, method: str, refusal: str) -> None:
        """Note that somebody was not allowed to do something; much of the same is one record."""
        self.put(*self.refusals.note(self.call(caller, method), refusal))

    def put(self, *records: Record, paid: bool = False) -> None:
        """Take the records in, off the path of the request."""
        self.budgets.note(records)
        self.spool.put(records, paid=paid)

    async def put_durably(self, *records: Record) -> None:
        """The same for what was paid; they survive the process when this returns."""
        self.put(*records, paid=True)
        try:
            async with asyncio.timeout(_DURABLE_SECONDS):
                await self.spool.written()
        except TimeoutError:
            # The disk is full or very slow: paid calls are refused from now on.
            return

    async def may_pay(self, caller: Principal) -> bool:
        """Whether a paid engine may answer the caller; UsageSpoolFullError, BudgetSpentError."""
        if self.spool.is_full:
            raise UsageSpoolFullError(
                "no paid call is made while there is no room to note what it costs",
                retry_after_seconds=10.0,
            )
        return await self.budgets.may_pay(caller.tenant_uid)


def call_of(caller: Principal, method: str, *, at: datetime, request_id: str) -> Circumstances:
    """A call of this caller."""
    return Circumstances(
        record_id=new_uid(),
        at=at,
        tenant_uid=caller.tenant_uid,
        subject=caller.subject,
        key_id=caller.key_id,
        method=method,
        request_id=request_id,
    )


@contextmanager
def noting_refusals(books: Books, caller: Principal, method: str) -> Iterator[None]:
    """Note what the caller is denied inside."""
    try:
        yield
    except DeniedError as error:
        books.refused(caller, method, error.reason)
        raise
