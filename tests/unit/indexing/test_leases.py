"""Whoever looks after a shared catalog stops when it must, and never in silence."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from ragmesh.core.errors import StoreUnavailableError
from ragmesh.indexing.adapters.catalog.leases import RowLease, Term
from ragmesh.indexing.adapters.catalog.transactions import Transactions

TERM = Term(seconds=1.0, renewed_every_seconds=0.0, given_up_after_seconds=0.5)


class Server:
    """Gives the lease to whoever asks, after some failures."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures

    async def write(self, _unit: object) -> Any:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("away")
        return True


def lease_of(server: Server) -> RowLease:
    return RowLease(cast("Transactions", server), TERM)


@pytest.mark.parametrize("error", [TimeoutError("a defect"), KeyError("a defect")])
async def test_an_error_of_the_work_leaves_as_itself(error: Exception) -> None:
    async def work() -> None:
        raise error

    async with asyncio.timeout(5):
        with pytest.raises(type(error)) as raised:
            await lease_of(Server()).while_held(work)
    assert raised.value is error


async def test_a_server_that_is_away_is_asked_again() -> None:
    working = asyncio.Event()

    async def work() -> None:
        working.set()
        await asyncio.Event().wait()

    server = Server(failures=2)
    lease = lease_of(server)
    task = asyncio.create_task(lease.while_held(work))
    async with asyncio.timeout(5):
        await working.wait()
    assert server.failures == 0
    assert lease.is_held
    task.cancel()
