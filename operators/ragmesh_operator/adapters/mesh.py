"""The catalog of a mesh, over gRPC."""

from __future__ import annotations

from ragmesh.chassis.requests import serving
from ragmesh.clients.indexing import IndexingClient
from ragmesh.core.callers import Machine
from ragmesh.core.migrations import MigrationCommand


class MeshClient(IndexingClient):
    """The client of indexing, for a machine that says some things once."""

    async def command_once(
        self, caller: Machine, collection: str, command: MigrationCommand, *, reason: str, key: str
    ) -> None:
        """Tell a migration what to do; with the same key it is told once."""
        with serving(key) as request:
            request.idempotency_key = key
            await self.command_migration(caller, collection, command, reason=reason)
