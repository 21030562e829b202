"""Transactions of a catalog that many processes share: each unit on a connection of its pool.

What others did at the same time, and a connection that was lost before the commit was sent, are
tried again a few times: nothing of the unit was kept. Once the commit is sent and no answer comes,
nobody knows; the caller hears so and asks again, which a unit bears or an idempotency key makes
harmless.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import (
    is_away,
    may_succeed_again,
    mesh_error,
)
from ragmesh.indexing.adapters.catalog.writer import Unit

T = TypeVar("T")
_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Transactions:
    """Satisfies `store.Writer` and `store.Reader`."""

    engine: AsyncEngine
    place: PostgresPlace

    async def write(self, unit: Unit[T]) -> T:
        """The unit's result once it is durable, or its error with nothing of it kept."""
        return await self._repeated(unit, self.engine)

    async def read(self, unit: Unit[T]) -> T:
        """The unit's result; all of its statements see one moment."""
        snapshot = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        return await self._repeated(unit, snapshot)

    async def look(self, unit: Unit[T]) -> T:
        """The result of a unit of one statement, which is sent without a transaction around it."""
        bare = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        return await self._repeated(unit, bare)

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Whatever goes wrong in the block, or takes too long, is an error of the mesh."""
        try:
            async with asyncio.timeout(self.place.transaction_seconds):
                yield
        except RagmeshError:
            raise
        except Exception as error:  # mapped
            raise mesh_error(error, self.place) from error

    async def _repeated(self, unit: Unit[T], engine: AsyncEngine) -> T:
        async with self.in_time():
            for attempt in range(1, _ATTEMPTS):
                run = _Run(engine)
                try:
                    return await run.of(unit)
                except Exception as error:
                    if not run.may_be_repeated(error):
                        raise
                pause = _FIRST_PAUSE_SECONDS * 2**attempt
                await asyncio.sleep(pause * random.random())  # noqa: S311  (nothing secret)
            return await _Run(engine).of(unit)


@dataclass(slots=True)
class _Run:
    """One attempt at a unit."""

    engine: AsyncEngine
    is_committing: bool = False

    async def of(self, unit: Unit[T]) -> T:
        """The unit's result once it is committed."""
        async with self.engine.connect() as connection:
            result = await connection.run_sync(unit)
            self.is_committing = True
            await connection.commit()
            return result

    def may_be_repeated(self, error: Exception) -> bool:
        """Whether nothing of it was kept, and another attempt may end otherwise."""
        if may_succeed_again(error):
            return True
        return is_away(error) and not self.is_committing
