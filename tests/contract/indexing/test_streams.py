"""Streams end with whoever listens, and begin again where they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from ragmesh.api.indexing.v1 import head_service_pb2 as pb
from ragmesh.api.indexing.v1 import head_service_pb2_grpc as pb_grpc
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.grpc_servers import GrpcServer, ServerOptions, serve
from ragmesh.clients.indexing import IndexingClient
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.documents import JobState
from ragmesh.core.errors import DeadlineError, InvalidError, Kind, RagmeshError, UnsupportedError
from ragmesh.core.index import HeadBatch
from ragmesh.indexing.server import SERVICE_NAMES, HeadServicer, add_indexing
from ragmesh.retrieval.follower import HeadsFollower, Patience
from ragmesh.testing.callers import MeshKeys
from ragmesh.testing.catalog_contract import ADA
from ragmesh.testing.memory_index import MemoryIndex
from tests.contract.lines import Line, line
from tests.unit.indexing.world import World, world

RETRIEVAL = Machine("retrieval")


@dataclass
class Endless:
    """A service whose streams say one thing and then wait, and notice when they are ended."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch_job(self, caller: Caller, job_id: str) -> AsyncIterator[Any]:
        try:
            await asyncio.Event().wait()
            yield None
        finally:
            self.ended.set()

    async def watch_heads(
        self, caller: Caller, index_version_uid: str, *, from_sequence: int
    ) -> AsyncIterator[HeadBatch]:
        try:
            while True:
                yield HeadBatch(index_version_uid, (), from_sequence, caught_up=True)
        finally:
            self.ended.set()


@asynccontextmanager
async def served(folder: Path, service: Any, **heads: Any) -> AsyncIterator[Line]:
    def add(server: grpc.aio.Server) -> None:
        add_indexing(server, service)

    def add_impatient(server: grpc.aio.Server) -> None:
        pb_grpc.add_HeadServiceServicer_to_server(HeadServicer(service, **heads), server)

    adding = add_impatient if heads else add
    async with line(folder, adding, SERVICE_NAMES, machine="retrieval") as at:
        yield at


async def test_a_job_is_watched_no_longer_once_its_watcher_has_gone(tmp_path: Path) -> None:
    service = Endless()
    async with served(tmp_path, service) as at:
        client = IndexingClient(at.channel, at.signer)
        async with aclosing(client.watch_job(ADA, "job")) as changes:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await anext(changes)
        async with asyncio.timeout(5):
            await service.ended.wait()


async def test_a_job_is_watched_for_longer_than_a_connection_lives(tmp_path: Path) -> None:
    keys, address = MeshKeys(), f"unix:{tmp_path}/s"
    aging = ServerOptions(max_connection_age_seconds=0.1, connection_grace_seconds=0.1)
    async with (
        world(tmp_path) as made,
        served_at(address, made.service, keys, aging),
        channel(address) as dialled,
    ):
        accepted = await made.upload("a")
        client = IndexingClient(dialled, keys.universal_signer("gateway"))
        async with aclosing(client.watch_job(ADA, accepted.job_id)) as changes:
            states = [(await anext(changes)).state]
            await asyncio.sleep(0.5)  # in which several connections end
            await made.index("a")
            states += [job.state async for job in changes]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED]


async def test_a_follower_that_closes_its_stream_ends_the_servers(tmp_path: Path) -> None:
    service = Endless()
    async with served(tmp_path, service) as at:
        client = IndexingClient(at.channel, at.signer)
        async with aclosing(client.watch_heads(RETRIEVAL, "v", from_sequence=3)) as batches:
            for _ in range(3):
                assert (await anext(batches)).sequence == 3
            assert not service.ended.is_set()
        async with asyncio.timeout(5):
            await service.ended.wait()


async def test_a_follower_that_says_nothing_is_taken_for_gone_and_may_come_back(
    tmp_path: Path,
) -> None:
    service = Endless()
    async with served(tmp_path, service, acknowledge_seconds=0.1) as at:
        client = IndexingClient(at.channel, at.signer)
        async with aclosing(client.watch_heads(RETRIEVAL, "v", from_sequence=0)) as batches:
            await anext(batches)
            async with asyncio.timeout(5):
                await service.ended.wait()
            with pytest.raises(DeadlineError):
                await anext(batches)
        async with aclosing(client.watch_heads(RETRIEVAL, "v", from_sequence=0)) as batches:
            assert (await anext(batches)).caught_up


@pytest.mark.parametrize(
    ("second", "field"),
    [
        (pb.WatchHeadsRequest(applied=pb.HeadsApplied(sequence=9)), "applied.sequence"),
        (pb.WatchHeadsRequest(start=pb.WatchHeadsStart()), "step"),
        (pb.WatchHeadsRequest(), "step"),
    ],
    ids=["another batch", "a second start", "nothing"],
)
async def test_a_follower_that_does_not_keep_to_the_contract_is_told_so(
    tmp_path: Path, second: pb.WatchHeadsRequest, field: str
) -> None:
    service = Endless()

    async def says() -> AsyncIterator[pb.WatchHeadsRequest]:
        yield pb.WatchHeadsRequest(start=pb.WatchHeadsStart(index_version_uid="v"))
        yield second
        await service.ended.wait()

    async with served(tmp_path, service) as at:
        stub = pb_grpc.HeadServiceStub(at.channel)
        stream = stub.WatchHeads(says(), metadata=at.signer.metadata(RETRIEVAL))
        with pytest.raises(InvalidError) as caught:
            async for _ in stream:
                pass
    assert [one.field for one in caught.value.violations] == [field]


async def test_what_is_not_offered_yet_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, Endless()) as at:
        stub = pb_grpc.HeadServiceStub(at.channel)
        with pytest.raises(UnsupportedError):
            await stub.GetHeads(pb.GetHeadsRequest(), metadata=at.signer.metadata(RETRIEVAL))


async def test_followers_of_a_server_that_stops_are_told_to_ask_again(tmp_path: Path) -> None:
    keys, address, ends = MeshKeys(), f"unix:{tmp_path}/s", []

    async def follow(client: IndexingClient, told: asyncio.Event) -> None:
        try:
            async for _ in client.watch_heads(RETRIEVAL, "v", from_sequence=0):
                told.set()
        except RagmeshError as error:
            ends.append(error.kind)

    for _ in range(5):
        # They acknowledge without a pause, so that some write just as their call ends.
        told = [asyncio.Event() for _ in range(4)]
        options = ChannelOptions(peer="indexing")
        async with channel(address, options=options) as dialled, asyncio.TaskGroup() as group:
            client = IndexingClient(dialled, keys.universal_signer("retrieval"))
            async with served_at(address, Endless(), keys):
                for one in told:
                    group.create_task(follow(client, one))
                await asyncio.gather(*(one.wait() for one in told))
    assert ends == [Kind.UNAVAILABLE] * 20


class Watched(MemoryIndex):
    """An index that tells how far its heads are."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = asyncio.Condition()

    async def apply_heads(self, batch: HeadBatch) -> None:
        await super().apply_heads(batch)
        async with self.moved:
            self.moved.notify_all()

    async def reached(self, uid: str, sequence: int) -> None:
        """Return once the index follows the heads up to the sequence."""
        async with asyncio.timeout(20), self.moved:
            while (await self.describe(uid)).heads_sequence < sequence:
                await self.moved.wait()


async def test_a_follower_finds_indexing_again_and_nothing_is_lost(tmp_path: Path) -> None:
    index, keys, address = Watched(), MeshKeys(), f"unix:{tmp_path}/s"
    async with world(tmp_path, publish_wait_seconds=30) as made, channel(address) as dialled:
        (spec,) = made.registry.specs.values()
        await index.create(spec)
        client = IndexingClient(dialled, keys.universal_signer("retrieval"))
        follower = HeadsFollower(index, SystemClock(), Patience())

        async with asyncio.TaskGroup() as group:
            following = group.create_task(follower.run(client))
            async with served_at(address, made.service, keys):
                await published(made, "a")
                await index.reached(spec.index_version_uid, 1)
            async with asyncio.timeout(5):  # nobody follows: nobody is waited for
                await published(made, "b")
            async with served_at(address, made.service, keys):
                await index.reached(spec.index_version_uid, 2)
                async with asyncio.timeout(5):  # the one who came back is waited for, and applies
                    await published(made, "c")
                assert (await index.describe(spec.index_version_uid)).heads_sequence == 3
            following.cancel()


def served_at(
    address: str,
    service: Any,
    keys: MeshKeys,
    options: ServerOptions | None = None,
) -> AbstractAsyncContextManager[GrpcServer]:
    return serve(
        address,
        lambda server: add_indexing(server, service),
        service_names=SERVICE_NAMES,
        options=options or ServerOptions(grace_seconds=0.1),
        guard=keys.guard,
    )


async def published(made: World, document_id: str) -> None:
    await made.upload(document_id)
    await made.index(document_id)
