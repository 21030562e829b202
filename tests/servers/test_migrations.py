"""An index is changed on real servers while people ask, candidates fail and indexing is killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import NewCollection, Upload
from ragmesh.core.errors import RagmeshError
from ragmesh.core.migrations import (
    CanaryStep,
    GateVerdict,
    IndexChange,
    Migration,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from tests.e2e.audience import Rates, attended
from tests.e2e.meshes import environment
from tests.samples import HANDBOOK, sample_questions
from tests.servers.operator.processes import scattering_endpoint
from tools.dev.mesh import running_processes
from tools.dev.replicas import Replicas
from tools.mesh_processes import MeshProcesses
from tools.servers.server import Server

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

TARGETS = ("cache", "embedding", "generation", "retrieval", "indexing", "indexer", "gateway")
OLD, NEW, WORSE = "exact", "fast", "scattered"
POLICY = MigrationPolicy(canary=(CanaryStep(50, 2.0),), soak_seconds=2.0)
RATES = Rates(searches=10.0, answers=2.0)
"""What a machine of two cores does for seven processes and five servers, with a gate beside it."""
LONGEST_SECONDS = 200.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Mesh:
    """One process a target, on servers of their own."""

    processes: MeshProcesses
    grpc: str

    def kill_indexing(self) -> None:
        """End it without a word, and start another one; return when it serves."""
        self.processes.send("indexing-1", signal.SIGKILL)
        self.processes.start("indexing-1")


@pytest.fixture(scope="module")
def mesh(
    kafka_server: Server,
    weaviate_server: Server,
    postgres_server: Server,
    s3_server: Server,
    redis_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mesh]:
    mine = uuid4().hex[:8]
    with scattering_endpoint() as worse:
        settings = {
            **kafka_server.settings,
            **weaviate_server.settings,
            **postgres_server.settings,
            **s3_server.settings,
            **redis_server.settings,
            "RAGMESH_EVENTS__URL": f"{kafka_server.url}/{mine}",
            "RAGMESH_BLOBS__URL": f"{s3_server.url}/{mine}",
            "RAGMESH_EMBEDDING__ENCODERS": encoders(worse),
            "RAGMESH_INTERNAL__DRAIN_SECONDS": "0",
        }
        replicas = Replicas.on_free_ports(dict.fromkeys(TARGETS, 1), settings)
        folder: Path = tmp_path_factory.mktemp("changing")
        with running_processes(folder, replicas, environment()) as processes:
            (gateway,) = replicas.of("gateway")
            yield Mesh(processes, gateway.grpc)


def encoders(worse: str) -> str:
    """Two that are good, and one whose vectors mean nothing."""
    endpoint = f'{{"url": "{worse}", "model": "scatter", "dimension": 384, "max_tokens": 256}}'
    return (
        f'[{{"name": "{OLD}", "kind": "exact"}}, {{"name": "{NEW}", "kind": "fast"}},'
        f' {{"name": "{WORSE}", "kind": "openai", "endpoint": {endpoint}}}]'
    )


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[GatewayClient]:
    async with gateway_client(mesh.grpc) as client:
        yield client


@pytest.fixture
async def handbook(client: GatewayClient) -> str:
    """A collection with documents, and with questions that its index is judged by."""
    name = f"c-{uuid4().hex[:8]}"
    await client.create_collection(NewCollection(name, encoder=OLD))
    for path in HANDBOOK:
        upload = Upload(path.read_bytes(), path.name, filename=path.name)
        accepted = await client.create_document(name, upload)
        async for _job in client.watch_job(accepted.job_id):
            pass
    await client.set_golden_questions(name, sample_questions())
    return name


async def changed(client: GatewayClient, name: str, encoder: str) -> Migration:
    """What became of a wish for this encoder."""
    await client.want_index(name, IndexChange(encoder=encoder, policy=POLICY))
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            found = await client.get_migration(name)
            assert found.held is None, await reasons(client, name)
            if found.phase.rests:
                return found
            await asyncio.sleep(LOOK_SECONDS)


async def test_people_notice_neither_a_new_index_nor_one_that_is_refused(
    client: GatewayClient, handbook: str
) -> None:
    async with attended(client, handbook, RATES) as audience:
        refused = await changed(client, handbook, WORSE)
        met = set(audience.answers)
        taken = await changed(client, handbook, NEW)
    print(f"{audience.answers} in {audience.seconds:.1f} s")
    assert (refused.reason, refused.verdict) == ("QUALITY_GATE_FAILED", GateVerdict.REFUSED)
    assert met == {refused.serving}
    assert (taken.flips, taken.verdict) == (1, GateVerdict.PASS)
    audience.assert_nobody_noticed()
    assert set(audience.answers) == {refused.serving, taken.serving}


# kill -9 after each step that can be seen from outside, with gateways that go on by what they know
async def test_indexing_that_is_killed_in_every_phase_flips_once_and_everybody_is_answered(
    mesh: Mesh, client: GatewayClient, handbook: str
) -> None:
    killed: list[MigrationPhase] = []
    await client.want_index(handbook, IndexChange(encoder=NEW, policy=POLICY))
    async with attended(client, handbook, RATES) as audience, asyncio.timeout(LONGEST_SECONDS):
        while True:
            found = await looked_at(client, handbook)
            if found is not None and found.phase.rests and found.flips:
                break
            assert found is None or found.held is None, await reasons(client, handbook)
            if found is not None and found.phase not in killed:
                killed.append(found.phase)
                await asyncio.to_thread(mesh.kill_indexing)
            await asyncio.sleep(LOOK_SECONDS)
    print(f"{audience.answers} in {audience.seconds:.1f} s, killed in {killed}")
    assert {MigrationPhase.BACKFILLING, MigrationPhase.CANARY, MigrationPhase.SOAKING} <= {*killed}
    assert found.flips == 1
    assert audience.failed == []
    assert audience.mixed == []


async def reasons(client: GatewayClient, name: str) -> list[str]:
    """Why questions could not be measured."""
    page = await client.list_evaluations(name, PageRequest())
    return [one.content for one in page.items]


async def looked_at(client: GatewayClient, name: str) -> Migration | None:
    """Where it stands; nothing while indexing is away."""
    try:
        return await client.get_migration(name)
    except RagmeshError as error:
        if not error.kind.transient:
            raise
        return None
