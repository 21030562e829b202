"""The client of a mesh with every part of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import TracebackType

from ragmesh.sdk.aio.administration import AsyncAdministration
from ragmesh.sdk.aio.asking import AsyncAsking
from ragmesh.sdk.aio.calls import Calls
from ragmesh.sdk.aio.collections import AsyncCollections
from ragmesh.sdk.aio.documents import AsyncDocuments
from ragmesh.sdk.aio.jobs import AsyncJobs
from ragmesh.sdk.aio.keys import AsyncKeys
from ragmesh.sdk.aio.migrations import AsyncMigrations
from ragmesh.sdk.aio.records import AsyncRecords


class AsyncMesh(
    AsyncAsking,
    AsyncCollections,
    AsyncDocuments,
    AsyncJobs,
    AsyncAdministration,
    AsyncKeys,
    AsyncMigrations,
    AsyncRecords,
):
    """A client of the mesh at one gRPC address.

    Every method raises RagmeshError: `kind` says what can be done about it, `reason` names it, and
    its class is the one that the server raised. Calls that fail because the mesh is away or full
    are made again, changes as well, since each carries a key that makes it one change.

        async with AsyncMesh("127.0.0.1:50051") as mesh:
            answer = await mesh.ask("handbook", "When does the gate close?")
    """

    async def __aenter__(self) -> AsyncMesh:
        await self.open()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def with_options(
        self,
        *,
        timeout_seconds: float | None = None,
        attempts: int | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncMesh:
        """A client on the same connection whose calls keep to other options; None leaves one.

        Such as `mesh.with_options(timeout_seconds=2).search("handbook", "gate")`. It is open as
        long as this one is.
        """
        given = {
            "timeout_seconds": timeout_seconds,
            "attempts": attempts,
            "idempotency_key": idempotency_key,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        other = copy.copy(self)
        options = replace(self.options, **changed)  # type: ignore[arg-type]
        other._calls = Calls(options, budget=self._calls.budget)
        return other
