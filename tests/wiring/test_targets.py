"""Targets are one literal table; what each builds, needs and listens on is pinned here."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ragmesh.app.modules import MODULES, TARGETS
from ragmesh.app.run import Ready, run_target
from ragmesh.app.settings import Settings
from ragmesh.chassis.settings import load
from ragmesh.core.errors import InvalidSettingsError


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
    with pytest.raises(InvalidSettingsError):
        await run_target(settings_for(tmp_path), announce=lambda _: None, in_cluster=True)


async def test_developer_mode_does_not_listen_beyond_loopback(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **{"gateway.http": "0.0.0.0:0"})
    with pytest.raises(InvalidSettingsError):
        await run_target(settings, announce=lambda _: None)


def test_two_stores_in_one_file_are_refused(tmp_path: Path) -> None:
    both = {
        "catalog.url": f"sqlite+aiosqlite:///{tmp_path}/one.db",
        "events.url": f"sqlite:///{tmp_path}/one.db",
    }
    with pytest.raises(InvalidSettingsError):
        settings_for(tmp_path, **both)
