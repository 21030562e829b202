"""Retrieval cannot tell the catalog beside it from the catalog far away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.retrieval.ports import HeadsSource
from ragmesh.testing.heads_contract import CatalogHeadsContract, HeadsBench, HeadsContract
from ragmesh.testing.retrieval import ManualHeads, Publisher, index_spec
from tests.contract.indexing.services import dialled
from tests.unit.indexing.world import ADMIN, World, world


class TestFakeHeads(HeadsContract):
    """What retrieval is tested with keeps what it promises."""

    @pytest.fixture(params=["fake"])
    def bench(self) -> HeadsBench:
        heads, publisher = ManualHeads(), Publisher(index_spec())
        heads.said(publisher.heartbeat())

        async def publish(document_id: str) -> None:
            batch = publisher.publish(document_id)
            if heads.watches:
                await heads.say(batch)
            else:
                heads.said(batch)

        async def beat() -> None:
            await heads.say(publisher.heartbeat())

        return HeadsBench(heads, publisher.spec.index_version_uid, publish, beat)


class TestHeads(CatalogHeadsContract):
    """The catalog passes the suite, beside its follower and over gRPC."""

    @pytest.fixture(params=["local", "client"])
    async def bench(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[HeadsBench]:
        async with AsyncExitStack() as stack:
            made = await stack.enter_async_context(
                world(tmp_path, publish_wait_seconds=30, heads_heartbeat_seconds=0.5)
            )
            source: HeadsSource = made.service
            if request.param == "client":
                source = await stack.enter_async_context(
                    dialled(tmp_path, made.service, machine="retrieval")
                )
            yield await bench_of(made, source)


async def bench_of(made: World, source: HeadsSource) -> HeadsBench:
    route = await made.service.resolve_route(ADMIN, "docs")

    async def publish(document_id: str) -> None:
        await made.upload(document_id)
        await made.index(document_id)

    return HeadsBench(source, route.index_version_uid, publish, lambda: asyncio.sleep(0))
