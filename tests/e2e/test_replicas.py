"""Two gateways, two embeddings and two generations: one of each stops, and no call fails."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragmesh.api.generation.v1 import generation_service_pb2 as pb
from ragmesh.api.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import ChannelOptions, channel
from ragmesh.chassis.identity.opening import open_identity
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.clients.embedding import EmbeddingClient
from ragmesh.clients.gateway import gateway_client
from ragmesh.core.pages import PageRequest
from tests.e2e.meshes import environment
from tools.bench.loads import crowd, offer
from tools.mesh_processes import MeshProcesses
from tools.split import Ports

pytestmark = pytest.mark.faults

DOUBLED = ("embedding", "generation", "gateway")
A_SECOND = 200.0
"""What the promise names, and the most that is offered."""
SPARE = 0.3
"""A share of what both bear that the one which stays bears too, on two cores that they share with
whoever calls: more would be refused as overload, which has tests of its own."""
PROBES = 200
SECONDS = 6.0
Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class TwinPorts(Ports):
    """Ports of a process beside another one: whoever calls them calls both."""

    targets: tuple[tuple[str, str], ...] = ()
    """What to tell every process of where the others are."""

    def variables(self) -> dict[str, str]:
        return dict(self.targets)


def both(one: str, two: str) -> str:
    return f"ipv4:{one},{two}"


class Pair:
    """A split mesh and a second process of each doubled target."""

    def __init__(self, data_dir: Path) -> None:
        one, two = Ports.free(), Ports.free()
        self.data_dir = data_dir
        told = one.variables()
        del told["RAGMESH_INTERNAL__DRAIN_SECONDS"]  # as it ships
        for name in ("embedding", "generation"):
            variable = f"RAGMESH_PEERS__{name.upper()}"
            told[variable] = both(told[variable], two.variables()[variable])
        self.targets = {
            "embedding": told["RAGMESH_PEERS__EMBEDDING"],
            "generation": told["RAGMESH_PEERS__GENERATION"],
            "gateway": both(one.public_grpc, two.public_grpc),
        }
        self.one, self.two = (self._mesh(ports, told) for ports in (one, two))

    def _mesh(self, ports: Ports, told: dict[str, str]) -> MeshProcesses:
        twin = TwinPorts(
            ports.http,
            ports.grpc,
            ports.internal_grpc,
            ports.internal_http,
            tuple(told.items()),
        )
        log = self.data_dir.with_name(f"{self.data_dir.name}-{ports.grpc}.log")
        return MeshProcesses(self.data_dir, lambda _: log.open("a"), twin, environment())

    def start(self) -> None:
        self.one.start()
        for target in DOUBLED:
            self.two.launch(target)
        for target in DOUBLED:
            self.two.await_ready(target)

    def close(self) -> None:
        self.one.close()
        self.two.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path / "data")
    try:
        made.start()
        yield made
    finally:
        made.close()


@asynccontextmanager
async def calling(pair: Pair, target: str) -> AsyncIterator[Call]:
    """A call that both replicas of the target answer, as another service would make it."""
    if target == "gateway":
        async with gateway_client(pair.targets["gateway"]) as client:
            yield lambda: client.list_collections(PageRequest(size=10))
        return
    caller = "retrieval" if target == "embedding" else "gateway"
    async with (
        Lifecycle() as life,
        open_identity(
            IdentitySettings(),
            caller,
            data_dir=pair.data_dir,
            clock=SystemClock(),
            tasks=life.tasks,
        ) as identity,
        channel(pair.targets[target], options=ChannelOptions(peer=target)) as made,
    ):
        if target == "embedding":
            embedding = EmbeddingClient(made, identity.signer)
            yield lambda: embedding.embed_texts(["What do owls eat?"])
        else:
            stub = GenerationServiceStub(made)
            yield lambda: stub.ListModels(
                pb.ListModelsRequest(), metadata=identity.signer.metadata()
            )


async def bearable(call: Call) -> float:
    """Calls a second that one of the two answers on this machine at this moment."""
    begun = time.perf_counter()
    await crowd(call, PROBES, at_once=8)
    return min(A_SECOND, SPARE * PROBES / (time.perf_counter() - begun))


# RL-1
@pytest.mark.timeout(240)
async def test_stopping_one_replica_of_each_costs_no_call(pair: Pair) -> None:
    for target in DOUBLED:
        async with calling(pair, target) as call, asyncio.TaskGroup() as group:
            await call()
            a_second = await bearable(call)
            loading = group.create_task(offer(call, a_second=a_second, seconds=SECONDS))
            await asyncio.sleep(SECONDS / 3)
            assert await asyncio.to_thread(pair.two.send, target, signal.SIGTERM) == 0
            seen = await loading
        print(f"{target}: {len(seen.seconds)} calls at {a_second:.0f} a second")
        assert seen.failures == (), target
