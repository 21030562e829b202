"""The samples of k8s/samples, on the documents that they are about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import Chunking, JobState, NewCollection, Upload
from ragmesh.core.migrations import GateVerdict, IndexChange, Migration, MigrationPhase
from ragmesh_operator.planning import index_change
from tests.e2e.meshes import Mesh, running
from tests.samples import HANDBOOK, sample_collection, sample_questions

DEFAULT, FAST = "all-MiniLM-L6-v2", "fast"
ENCODERS = f'[{{"name": "{DEFAULT}", "kind": "exact"}}, {{"name": "{FAST}", "kind": "fast"}}]'
LONGEST_SECONDS = 90.0


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh with the encoders that the samples name."""
    data = tmp_path_factory.mktemp("samples") / "data"
    with running(data, RAGMESH_EMBEDDING__ENCODERS=ENCODERS) as mesh:
        yield mesh


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[GatewayClient]:
    async with gateway_client(mesh.grpc) as client:
        yield client


async def fill(client: GatewayClient, name: str) -> None:
    """A collection like the sample's, with its documents and its golden questions."""
    await client.create_collection(
        NewCollection(name, encoder=sample_collection("collection").encoder or "")
    )
    for path in HANDBOOK:
        accepted = await client.create_document(
            name, Upload(path.read_bytes(), path.name, filename=path.name)
        )
        async for job in client.watch_job(accepted.job_id):
            last = job
        assert last.state is JobState.SUCCEEDED, (path.name, last.error)
    await client.set_golden_questions(name, sample_questions())


async def migrated(
    client: GatewayClient, name: str, change: IndexChange, until: Callable[[Migration], bool]
) -> Migration:
    """Where it stands once it is there, has failed, or is held."""
    await client.want_index(name, change)
    async with asyncio.timeout(LONGEST_SECONDS):
        while True:
            found = await client.get_migration(name)
            if until(found) or found.held is not None or found.phase is MigrationPhase.FAILED:
                return found
            await asyncio.sleep(0.2)


def assert_passed(found: Migration) -> None:
    """The gate had enough to go by, and both versions reach the floors of the sample."""
    evaluation = sample_collection("collection").evaluation
    assert found.verdict is GateVerdict.PASS, (found.message, found.verdicts)
    told = {one.metric: one for one in found.verdicts}
    assert min(one.questions for one in found.verdicts) > evaluation.min_queries
    for metric in evaluation.metrics:
        assert metric.floor is not None
        assert min(told[metric.name].serving, told[metric.name].candidate) >= metric.floor


async def test_other_chunks_of_the_same_encoder_pass_the_gate_of_the_sample(
    client: GatewayClient,
) -> None:
    await fill(client, "handbook")
    change = index_change(sample_collection("collection"))
    assert change.policy is not None
    at_once = replace(change.policy, canary=(), soak_seconds=0.0)
    shorter = replace(change, chunking=Chunking(max_tokens=200), policy=at_once)
    found = await migrated(client, "handbook", shorter, lambda now: now.flips > 0)
    assert found.flips == 1, found
    assert_passed(found)


async def test_the_blue_green_sample_passes_and_waits_for_somebody(client: GatewayClient) -> None:
    def waits(now: Migration) -> bool:
        return now.phase is MigrationPhase.AWAITING_APPROVAL

    await fill(client, "blue-green")
    change = index_change(sample_collection("blue-green"))
    found = await migrated(client, "blue-green", change, waits)
    assert waits(found), found
    assert_passed(found)
