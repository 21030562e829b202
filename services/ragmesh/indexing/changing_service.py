"""The part of the indexing service by which an index is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from ragmesh.core.callers import Caller
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    IndexChange,
    IndexEstimate,
    Migration,
    MigrationCommand,
    RouteBatch,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.claims import Once, Target
from ragmesh.indexing.golden_sets import GoldenSets
from ragmesh.indexing.migrations import Migrations


@dataclass(frozen=True, slots=True)
class ChangingService:
    """Migrations, routes and golden questions."""

    once: Once
    migrations: Migrations
    golden_sets: GoldenSets

    async def want_index(self, caller: Caller, collection: str, change: IndexChange) -> Migration:
        """Say what the index of a collection should be; a migration begins if it is not."""
        return await self.once.run(
            caller,
            Target("SetIndexSpec", collection),
            change,
            lambda: self.migrations.want(caller, collection, change),
            lambda _known: self.migrations.get(caller, collection),
        )

    async def release_collection(
        self, caller: Caller, collection: str, *, reason: str = ""
    ) -> None:
        """Have no custom resource keep a collection; asked twice, it is done once."""
        await self.migrations.release(caller, collection, reason=reason)

    async def estimate_index(
        self, caller: Caller, collection: str, change: IndexChange
    ) -> IndexEstimate:
        """What such a change would build, and what that takes."""
        return await self.migrations.estimate(caller, collection, change)

    async def get_migration(self, caller: Caller, collection: str) -> Migration:
        """Where the migration of a collection stands."""
        return await self.migrations.get(caller, collection)

    async def list_migrations(self, caller: Caller, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""
        return await self.migrations.list(caller, page)

    async def command_migration(
        self, caller: Caller, collection: str, command: MigrationCommand, *, reason: str
    ) -> Migration:
        """Tell a migration what to do."""
        return await self.once.run(
            caller,
            Target("CommandMigration", collection, command.value),
            (command, reason),
            lambda: self.migrations.command(caller, collection, command, reason=reason),
            lambda _known: self.migrations.get(caller, collection),
        )

    def watch_routes(self, caller: Caller) -> AsyncIterator[RouteBatch]:
        """Every route first, then changes, for ever; an empty batch is a heartbeat."""
        return self.migrations.watch_routes(caller)

    async def set_golden_questions(
        self, caller: Caller, collection: str, content: str
    ) -> GoldenQuestions:
        """Keep golden questions with a collection instead of any others."""
        return await self.once.run(
            caller,
            Target("SetGoldenQuestions", collection),
            content,
            lambda: self.golden_sets.keep(caller, collection, content),
            lambda _known: self.golden_sets.get(caller, collection),
        )

    async def get_golden_questions(self, caller: Caller, collection: str) -> GoldenQuestions:
        """The golden questions of a collection."""
        return await self.golden_sets.get(caller, collection)

    async def list_evaluations(
        self, caller: Caller, collection: str, page: PageRequest
    ) -> Page[EvaluationRecord]:
        """What asking them found, newest first."""
        return await self.golden_sets.evaluations(caller, collection, page)
