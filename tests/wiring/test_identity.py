"""Targets prove themselves to each other with the keys of their data directory, or not at all."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ragmesh.app.run import Ready, run_target
from ragmesh.app.settings import Settings
from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.identity.key_files import KeyFiles
from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.chassis.identity.tokens import TokenSigner
from ragmesh.chassis.settings import load
from ragmesh.clients.cache import CacheClient
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.errors import CallerKeyUnknownError, CallerMissingError, MethodDeniedError
from ragmesh.testing.callers import MeshKeys

ANNA = Principal("tenant-1", "anna")


async def with_target(settings: Settings, look: Callable[[Ready], Awaitable[None]]) -> None:
    """Run the target, look at it once it serves, and stop it."""

    async def look_and_stop(ready: Ready) -> None:
        try:
            await look(ready)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.TaskGroup() as group:

        def announce(ready: Ready) -> None:
            group.create_task(look_and_stop(ready))

        await run_target(settings, announce=announce)


class Nobody:
    """Signs nothing."""

    def metadata(self, caller: Caller | None = None) -> Metadata:
        return ()


async def test_a_process_answers_who_is_listed_beside_it_and_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "identity"
    files = KeyFiles(folder / "gateway.key", folder / "public-keys.json")
    files.make(SPEAKERS["gateway"])
    flags = {"target": "cache", "data_dir": tmp_path, "internal.grpc": "127.0.0.1:0",
             "internal.http": "127.0.0.1:0", "identity.reread_seconds": 0.05}  # fmt: skip
    settings = load(Settings, config_file=None, environ={}, overrides=flags)
    key, _ = files.read(SPEAKERS["gateway"])
    gateway = TokenSigner(key, "gateway", SPEAKERS["gateway"], SystemClock())

    async def look(ready: Ready) -> None:
        async with channel(ready.internal_grpc or "") as made:
            assert await CacheClient(made, gateway).lookup_answer(ANNA, "key") is None
            with pytest.raises(MethodDeniedError):
                await CacheClient(made, gateway).lookup_vectors("encoder", ["text"])
            with pytest.raises(CallerMissingError):
                await CacheClient(made, Nobody()).lookup_answer(ANNA, "key")
            with pytest.raises(CallerKeyUnknownError):
                await CacheClient(made, MeshKeys().signer("gateway")).lookup_answer(ANNA, "key")

    await with_target(settings, look)


async def test_the_whole_mesh_in_one_process_has_no_key(tmp_path: Path) -> None:
    flags = {"data_dir": tmp_path, "gateway.http": "127.0.0.1:0", "gateway.grpc": "127.0.0.1:0"}

    async def look(ready: Ready) -> None:
        assert ready.internal_grpc is None

    await with_target(load(Settings, config_file=None, environ={}, overrides=flags), look)
    assert not (tmp_path / "identity").exists()
