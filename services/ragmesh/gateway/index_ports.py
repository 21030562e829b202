"""What the gateway needs of the indexing service to have an index changed, as Protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

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


class Changing(Protocol):
    """The index of a collection as it is and should be; for admins. A part of the catalog."""

    async def want_index(self, caller: Caller, collection: str, change: IndexChange) -> Migration:
        """Say what the index should be; a migration begins if it is not."""

    async def estimate_index(
        self, caller: Caller, collection: str, change: IndexChange
    ) -> IndexEstimate:
        """What such a change would build, and what that takes."""

    async def release_collection(self, caller: Caller, collection: str, *, reason: str) -> None:
        """Have no custom resource keep a collection; asked twice, it is done once."""

    async def get_migration(self, caller: Caller, collection: str) -> Migration:
        """Where the migration of a collection stands."""

    async def list_migrations(self, caller: Caller, page: PageRequest) -> Page[Migration]:
        """Those of collections whose index somebody wanted otherwise."""

    async def command_migration(
        self, caller: Caller, collection: str, command: MigrationCommand, *, reason: str
    ) -> Migration:
        """Tell a migration what to do; MigrationCommandRefusedError when it may not."""

    async def set_golden_questions(
        self, caller: Caller, collection: str, content: str
    ) -> GoldenQuestions:
        """Keep golden questions with a collection instead of any others."""

    async def get_golden_questions(self, caller: Caller, collection: str) -> GoldenQuestions:
        """The golden questions of a collection."""

    async def list_evaluations(
        self, caller: Caller, collection: str, page: PageRequest
    ) -> Page[EvaluationRecord]:
        """What asking them found, the newest first."""


class RouteSource(Protocol):
    """Where routes are followed; a part of the catalog."""

    def watch_routes(self, caller: Caller) -> AsyncIterator[RouteBatch]:
        """Every route first, then changes, for ever; an empty batch is a heartbeat."""
