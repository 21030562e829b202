# Generated from ragmesh/sdk/aio/mesh.py by tools/generate_blocking.py; edit that instead.
"""The client of a mesh with every part of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import TracebackType

from ragmesh.sdk.blocking.administration import Administration
from ragmesh.sdk.blocking.asking import Asking
from ragmesh.sdk.blocking.calls import Calls
from ragmesh.sdk.blocking.collections import Collections
from ragmesh.sdk.blocking.documents import Documents
from ragmesh.sdk.blocking.jobs import Jobs
from ragmesh.sdk.blocking.keys import Keys
from ragmesh.sdk.blocking.migrations import Migrations
from ragmesh.sdk.blocking.records import Records


class Mesh(
    Asking,
    Collections,
    Documents,
    Jobs,
    Administration,
    Keys,
    Migrations,
    Records,
):
    """A client of the mesh at one gRPC address.

    Every method raises RagmeshError: `kind` says what can be done about it, `reason` names it, and
    its class is the one that the server raised. Calls that fail because the mesh is away or full
    are made again, changes as well, since each carries a key that makes it one change.

        with Mesh("127.0.0.1:50051") as mesh:
            answer = mesh.ask("handbook", "When does the gate close?")
    """

    def __enter__(self) -> Mesh:
        self.open()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def with_options(
        self,
        *,
        timeout_seconds: float | None = None,
        attempts: int | None = None,
        idempotency_key: str | None = None,
    ) -> Mesh:
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
