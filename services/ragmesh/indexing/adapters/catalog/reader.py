"""Reads units of work, each at one moment of the catalog and in one visit to a thread."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Engine

from ragmesh.chassis.executors import Executor
from ragmesh.indexing.adapters.catalog.writer import Unit

T = TypeVar("T")


class ThreadReader:
    """Runs units that change nothing; the engine has a connection for every thread."""

    def __init__(self, engine: Engine, threads: Executor) -> None:
        self.engine = engine
        self._threads = threads

    async def read(self, unit: Unit[T]) -> T:
        """The unit's result."""
        return await self._threads.run(self._read, unit)

    async def look(self, unit: Unit[T]) -> T:
        """The same: a transaction costs nothing here."""
        return await self.read(unit)

    def _read(self, unit: Unit[T]) -> T:
        with self.engine.begin() as connection:
            return unit(connection)
