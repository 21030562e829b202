"""Meshes of both shapes with an encoder that costs next to nothing, so that all else is seen."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from zlib import crc32

import numpy as np

from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.documents import NewCollection
from ragmesh.testing.provider import fake_provider
from tools.dev.mesh import running_processes, running_servers
from tools.dev.replicas import Replicas
from tools.mesh_processes import MeshProcesses
from tools.quickstart import running_mesh

COLLECTION = "bench"
SERVERS = ("kafka", "weaviate", "postgres", "s3", "redis")
REPLICAS: Mapping[str, int] = {
    "cache": 1,
    "embedding": 1,
    "generation": 1,
    "retrieval": 1,
    "indexing": 1,
    "indexer": 2,
    "gateway": 1,
}
_DIMENSION = 384
_DEADLINE_SECONDS = 120.0
Entered = TypeVar("Entered")


@dataclass(frozen=True, slots=True)
class Distributed:
    """A mesh on real servers, and its processes by name."""

    client: GatewayClient
    processes: MeshProcesses


@asynccontextmanager
async def encoder_settings() -> AsyncIterator[dict[str, str]]:
    """What makes a mesh use an endpoint that gives each text a vector of chance, always one."""
    async with fake_provider() as provider:
        provider.embed = _embed
        endpoint = {"url": provider.url, "model": "fake", "dimension": _DIMENSION}
        encoder = {"name": "fake", "kind": "openai", "endpoint": endpoint}
        yield {"RAGMESH_EMBEDDING__ENCODERS": json.dumps([encoder])}


@asynccontextmanager
async def embedded(settings: Mapping[str, str]) -> AsyncIterator[GatewayClient]:
    """A mesh in one process on files, with an empty collection."""
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        async with (
            in_thread(running_mesh(folder, settings)) as address,
            _opened(address) as client,
        ):
            yield client


@asynccontextmanager
async def distributed(settings: Mapping[str, str]) -> AsyncIterator[Distributed]:
    """A process a target, and two indexers, on real servers, with an empty collection."""
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        async with (
            in_thread(_mesh(Path(folder), settings)) as (processes, address),
            _opened(address) as client,
        ):
            yield Distributed(client, processes)


async def _embed(texts: Sequence[str]) -> Sequence[Sequence[float]]:
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    numbers = np.random.default_rng(crc32(text.encode())).standard_normal(_DIMENSION)
    unit: list[float] = (numbers / np.linalg.norm(numbers)).tolist()
    return unit


@contextmanager
def _mesh(folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[MeshProcesses, str]]:
    with running_servers(folder / "servers", SERVERS) as servers:
        told = {name: word for server in servers.values() for name, word in server.settings.items()}
        replicas = Replicas.on_free_ports(REPLICAS, {**told, **settings})
        with running_processes(folder, replicas, os.environ) as processes:
            yield processes, replicas.of("gateway")[0].grpc


@asynccontextmanager
async def in_thread(context: AbstractContextManager[Entered]) -> AsyncIterator[Entered]:
    """Entered and left without holding up the loop, which serves the encoder meanwhile."""
    entered = await asyncio.to_thread(context.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def _opened(address: str) -> AsyncIterator[GatewayClient]:
    async with gateway_client(address, deadline_seconds=_DEADLINE_SECONDS) as client:
        await client.create_collection(NewCollection(COLLECTION))
        yield client
