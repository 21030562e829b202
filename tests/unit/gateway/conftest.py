"""A gateway over fakes, with one collection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from ragmesh.chassis.executors import executor
from ragmesh.gateway.adapters.rest import make_app
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.gateway.identity import DeveloperIdentity
from ragmesh.gateway.limits import MEBIBYTE as MIB
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.testing.gateway import FakeMesh
from tests.unit.gateway.described import Described, description


@pytest.fixture
async def mesh() -> FakeMesh:
    limits = GatewayLimits(file_bytes=MIB // 2, json_bytes=3 * MIB // 2, body_bytes=2 * MIB)
    return await FakeMesh(limits=limits).with_collection()


@pytest.fixture
async def door(mesh: FakeMesh) -> AsyncIterator[Door]:
    async with executor("rest", 1) as pool:
        yield make_app(mesh.service(), DeveloperIdentity(), pool=pool, version="1.2.3")


@pytest.fixture(scope="session")
def described() -> Described:
    return Described(description())


@pytest.fixture
async def http(door: Door, described: Described) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=door)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://localhost:8080",
        event_hooks={"response": [described.check]},
    ) as client:
        yield client
