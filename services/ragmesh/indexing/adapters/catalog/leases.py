"""Which process looks after a catalog that several share: a row with an end, by the server's clock.

A lock of the session would be free at once when its process dies, and never while it is frozen or
cut off. So the holder renews, and counts as lost what it could not renew in time, by its own clock,
a good while before the server would give it to somebody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from ragmesh.core.errors import RagmeshError
from ragmesh.core.ids import new_uid
from ragmesh.indexing.adapters.catalog.transactions import Transactions

_log = logging.getLogger(__name__)
_NAME = "catalog"
_TAKE = text(
    "WITH moment AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS now)"
    " INSERT INTO leases AS held (name, holder, expires_at)"
    " SELECT CAST(:of_name AS TEXT), CAST(:of_holder AS TEXT),"
    " now + CAST(:microseconds AS BIGINT) FROM moment"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
    " WHERE held.holder = excluded.holder OR held.expires_at < (SELECT now FROM moment)"
    " RETURNING holder"
)
_GIVE_BACK = text("UPDATE leases SET expires_at = 0 WHERE name = :of_name AND holder = :of_holder")


@dataclass(frozen=True, slots=True)
class Term:
    """How long a lease holds without being renewed, and when it is."""

    seconds: float = 15.0
    renewed_every_seconds: float = 3.0
    given_up_after_seconds: float = 10.0
    """Without a renewal its holder stops: well before anybody else may begin."""


class _LostError(Exception):
    """Somebody else may hold it by now."""


@dataclass(slots=True)
class RowLease:
    """Satisfies `sharing.Lease`."""

    transactions: Transactions
    term: Term = Term()
    is_held: bool = field(default=False, init=False)
    """Whether this process looks after the catalog."""
    _me: str = field(default_factory=new_uid, init=False)

    async def while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work whenever this process holds the lease, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            is_taken = False
            with suppress(TimeoutError):  # of the server; one of the work leaves
                is_taken = await self._take(self.term.given_up_after_seconds)
            if is_taken:
                _log.info("this process looks after the catalog")
                await self._hold(work, since)
            await asyncio.sleep(self.term.renewed_every_seconds)

    async def _hold(self, work: Callable[[], Awaitable[None]], since: float) -> None:
        """Work until the lease is lost; an error of the work leaves as itself."""

        async def working() -> None:
            await work()

        self.is_held = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(working())
                group.create_task(self._renew(since))
        except BaseExceptionGroup as errors:
            (error, *others) = errors.exceptions
            if not others and isinstance(error, _LostError):
                _log.warning("this process has lost the catalog's lease and stops looking after it")
                return
            raise (errors if others else error) from error.__cause__
        finally:
            self.is_held = False
            await self._give_back()

    async def _renew(self, since: float) -> None:
        """Renew until it is lost."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.term.renewed_every_seconds)
            at = loop.time()
            left = since + self.term.given_up_after_seconds - at
            if left <= 0:  # perhaps the process stood still
                raise _LostError
            try:
                if not await self._take(left):
                    raise _LostError
            except TimeoutError:
                continue
            since = at

    async def _take(self, seconds: float) -> bool:
        """Whether this process holds it now; TimeoutError when nobody can say in time."""
        values = {
            "of_name": _NAME,
            "of_holder": self._me,
            "microseconds": int(self.term.seconds * 1_000_000),
        }

        def unit(connection: Connection) -> bool:
            return connection.execute(_TAKE, values).first() is not None

        async with asyncio.timeout(seconds):
            try:
                return await self.transactions.write(unit)
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                raise TimeoutError from error

    async def _give_back(self) -> None:
        """Let the next one begin at once, if the server can be told so."""
        values = {"of_name": _NAME, "of_holder": self._me}

        def unit(connection: Connection) -> None:
            connection.execute(_GIVE_BACK, values)

        with suppress(RagmeshError, TimeoutError):
            async with asyncio.timeout(self.term.renewed_every_seconds):
                await self.transactions.write(unit)
