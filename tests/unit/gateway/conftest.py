"""A gateway over fakes, with one collection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.testing.gateway import FakeMesh


@pytest.fixture
async def mesh() -> FakeMesh:
    return await FakeMesh().with_collection()


@pytest.fixture
async def door(mesh: FakeMesh) -> AsyncIterator[Door]:
    async with executor("rest", 1) as pool:
        yield make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1.2.3")


@pytest.fixture
async def http(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client
