"""The outbox of a catalog that several relays empty: what one has taken, no other gets.

Rows are taken in a transaction that stays open while the event log takes their events: the server
gives them back by itself when the relay dies or stands still. Settling deletes them and commits. So
that a window is counted right, one relay at a time has the turn of a tenant's lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ragmesh.core.errors import RagmeshError, StoreUnavailableError
from ragmesh.indexing.adapters.catalog.outbox import settle_rows, take_rows
from ragmesh.indexing.adapters.catalog.transactions import Transactions
from ragmesh.indexing.records import OutboxRow

_PATIENCE = text("SET LOCAL idle_in_transaction_session_timeout = '30s'")
"""For the event log; any other transaction that does nothing for so long is broken off earlier."""


@dataclass(slots=True)
class ClaimedOutbox:
    """At most one open claim: a process has one relay."""

    transactions: Transactions
    _connection: AsyncConnection | None = field(default=None, init=False)
    """Holds the rows that were taken last."""

    async def take(
        self, now: datetime, *, turn: int, limit: int, window: int
    ) -> tuple[OutboxRow, ...]:
        """The next rows; those that were taken before and not settled are free again."""
        await self.release()
        async with self.transactions.in_time():
            self._connection = await self.transactions.engine.connect()
            await self._connection.execute(_PATIENCE)
            rows = await self._connection.run_sync(
                lambda connection: take_rows(connection, now, turn=turn, limit=limit, window=window)
            )
        if not rows:
            await self.release()
        return rows

    async def settle(self, rows: Sequence[OutboxRow], now: datetime) -> None:
        """Delete the rows that were taken, and note when their documents were relayed."""
        if not rows:
            return
        held = self._connection
        if held is None:
            raise StoreUnavailableError("nothing was taken from the outbox")
        try:
            async with self.transactions.in_time():
                await held.run_sync(lambda connection: settle_rows(connection, rows, now))
                await held.commit()
        finally:
            await self.release()

    async def release(self) -> None:
        """Let others have what was taken."""
        held, self._connection = self._connection, None
        if held is not None:
            with suppress(RagmeshError):  # the server has done so already
                async with self.transactions.in_time():
                    await held.close()
