"""One writer with group commit: many units of work share one fsync, and none shares its errors.

A unit is plain SQLAlchemy Core over a connection that blocks, so that a whole group runs in one
visit to the writing thread instead of one a statement. Where several wait, each runs in a savepoint
of its own: an error rolls back that savepoint alone; the commit is one for all, and only after it
does any caller learn that its unit is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ragmesh.chassis.executors import Executor
from ragmesh.core.errors import (
    ExhaustedError,
    StorageFullError,
    StoreDamagedError,
    UnavailableError,
)
from ragmesh.indexing.adapters.catalog.sqlite import NO_ROOM

T = TypeVar("T")
Unit = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    unit: Unit[T]
    outcome: asyncio.Future[T]
    context: Context
    """Of whoever waits: what the unit writes says on whose behalf."""

    def run(self, connection: Connection) -> T:
        """The unit's result."""
        return self.context.run(self.unit, connection)


class GroupWriter:
    """Runs units of work one after the other and commits those that wait together."""

    def __init__(
        self, engine: Engine, thread: Executor, *, queue_units: int, group_units: int
    ) -> None:
        self._engine = engine
        self._thread = thread
        self._queue_units = queue_units
        self._group_units = group_units
        self._waiting: list[_Waiting[Any]] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self.commits = 0
        """Transactions committed so far."""

    async def write(self, unit: Unit[T]) -> T:
        """Run the unit; its result once it is durable, or its error with nothing of it kept."""
        if self._closing:
            raise UnavailableError("the catalog is closing", retry_after_seconds=1.0)
        if len(self._waiting) >= self._queue_units:
            raise ExhaustedError("too many catalog writes are waiting", retry_after_seconds=1.0)
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(unit, outcome, copy_context()))
        self._arrived.set()
        return await outcome

    def close(self) -> None:
        """Take no more units; `run` returns once those that wait are done."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Write until closed and empty; an end before that ends the process that owns the loop."""
        try:
            while self._waiting or not self._closing:
                self._arrived.clear()
                if not self._waiting:
                    await self._arrived.wait()
                    continue
                group = self._waiting[: self._group_units]
                del self._waiting[: self._group_units]
                group = [waiting for waiting in group if not waiting.outcome.cancelled()]
                if group:
                    await self._settle(group)
        finally:
            self._closing = True
            for waiting in self._waiting:
                if not waiting.outcome.done():
                    waiting.outcome.set_exception(UnavailableError("the catalog has closed"))
            self._waiting.clear()

    async def _settle(self, group: Sequence[_Waiting[Any]]) -> None:
        try:
            outcomes = await self._thread.run(self._commit, group)
        except BaseException:
            for waiting in group:
                waiting.outcome.cancel()
            raise
        for waiting, outcome in zip(group, outcomes, strict=True):
            _resolve(waiting.outcome, outcome)

    def _commit(self, group: Sequence[_Waiting[Any]]) -> Sequence[Any]:
        """Result or error of each, once what is kept is durable; in the thread."""
        try:
            with self._engine.begin() as connection:
                if len(group) == 1:  # nobody to be kept apart from
                    outcomes = [group[0].run(connection)]
                else:
                    outcomes = [_run(connection, waiting) for waiting in group]
        except Exception as error:  # of a unit alone, or of the commit: nothing is kept
            return [mapped_error(error)] * len(group)
        self.commits += 1
        return outcomes


def _run(connection: Connection, waiting: _Waiting[Any]) -> Any:
    """The unit's result, or its error once its savepoint is rolled back."""
    savepoint = connection.begin_nested()
    try:
        result = waiting.run(connection)
        savepoint.commit()
    except Exception as error:
        # SQLite may have ended the whole transaction (disk full); then there is no savepoint any
        # more, and the cause fails every unit of the group: none is half kept.
        try:
            savepoint.rollback()
        except DBAPIError as lost:
            raise (error if isinstance(error, DBAPIError) else lost) from error
        return mapped_error(error)
    return result


def _resolve(outcome: asyncio.Future[Any], result: Any) -> None:
    if outcome.done():
        return
    if isinstance(result, BaseException):
        outcome.set_exception(result)
    else:
        outcome.set_result(result)


def mapped_error(error: Exception) -> Exception:
    """What the error means to a caller; errors of the domain and defects stay what they are."""
    if not isinstance(error, DBAPIError):
        return error
    text = str(error.orig).lower()
    is_full = "full" in text and ("disk" in text or "database" in text)
    if is_full or getattr(error.orig, "sqlite_errorcode", 0) in NO_ROOM:
        return StorageFullError("the disk of the catalog is full; nothing was kept")
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return StoreDamagedError("the catalog cannot be read as its format promises")
    if "unable to open" in text or "locked" in text or error.connection_invalidated:
        return UnavailableError("the catalog cannot be reached", retry_after_seconds=1.0)
    return error
