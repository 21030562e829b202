"""Targets are one literal table; what each builds, needs and listens on is pinned here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ragmesh.app.modules import MODULES, TARGETS
from ragmesh.app.run import Ready, run_target
from ragmesh.app.settings import Settings
from ragmesh.chassis.settings import load
from ragmesh.core.errors import InvalidSettingsError, PortInUseError


def settings_for(folder: Path, **more: object) -> Settings:
    """Settings of a mesh on this folder and free ports."""
    flags = {"data_dir": folder, "gateway.http": "127.0.0.1:0", "gateway.grpc": "127.0.0.1:0"}
    return load(Settings, config_file=None, environ={}, overrides=flags | more)


def test_the_embedded_target_builds_every_service() -> None:
    assert TARGETS == {
        "all": (
            "cache",
            "embedding",
            "retrieval",
            "generation",
            "events",
            "catalog",
            "indexing",
            "heads",
            "indexer",
            "gateway",
        )
    }


@pytest.mark.parametrize("target", TARGETS)
def test_every_need_of_a_module_starts_before_it(target: str) -> None:
    for position, name in enumerate(TARGETS[target]):
        assert set(MODULES[name].needs) <= set(TARGETS[target][:position])


async def services_at(address: str) -> set[str]:
    """What the listener at this address says it serves."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for reply in stub.ServerReflectionInfo(iter([request])):
            return {service.name for service in reply.list_services_response.service}
    return set()


async def test_the_public_listener_serves_the_gateway_and_nothing_else(tmp_path: Path) -> None:
    seen: list[Ready] = []
    served: set[str] = set()

    async def look() -> None:
        nonlocal served
        try:
            served = await services_at(seen[0].grpc or "")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.TaskGroup() as group:

        def announce(ready: Ready) -> None:
            seen.append(ready)
            group.create_task(look())

        await run_target(settings_for(tmp_path), announce=announce)
    assert served == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "ragmesh.api.gateway.v1.AskService",
        "ragmesh.api.gateway.v1.CollectionService",
        "ragmesh.api.gateway.v1.DocumentService",
    }
    assert seen[0].internal_grpc is None
    assert seen[0].internal_http is None


async def test_developer_mode_does_not_start_in_a_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(InvalidSettingsError):
        await run_target(settings_for(folder), announce=lambda _: None, in_cluster=True)
    assert not folder.exists()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "nonsense", "127.0.0.1:99999"])
@pytest.mark.parametrize("door", ["gateway.http", "gateway.grpc"])
async def test_an_address_that_is_refused_leaves_nothing_behind(
    tmp_path: Path, door: str, address: str
) -> None:
    folder = tmp_path / "new"
    with pytest.raises(InvalidSettingsError):
        await run_target(settings_for(folder, **{door: address}), announce=lambda _: None)
    assert not folder.exists()


@pytest.mark.parametrize("door", ["gateway.http", "gateway.grpc"])
async def test_a_port_in_use_is_told_before_anything_is_opened(tmp_path: Path, door: str) -> None:
    folder = tmp_path / "new"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PortInUseError):
            await run_target(settings_for(folder, **{door: address}), announce=lambda _: None)
    assert not folder.exists()


def test_two_stores_in_one_file_are_refused(tmp_path: Path) -> None:
    both = {
        "catalog.url": f"sqlite+aiosqlite:///{tmp_path}/one.db",
        "events.url": f"sqlite:///{tmp_path}/one.db",
    }
    with pytest.raises(InvalidSettingsError):
        settings_for(tmp_path, **both)
