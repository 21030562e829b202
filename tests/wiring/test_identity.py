"""Targets prove themselves to each other with the keys of their data directory, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.app.modules.gateway import in_force
from ragmesh.app.run import Ready
from ragmesh.app.settings import Settings
from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.grpc_channels import channel
from ragmesh.chassis.identity.key_files import KeyFiles
from ragmesh.chassis.identity.keys import SPEAKERS
from ragmesh.chassis.identity.tokens import TokenSigner
from ragmesh.chassis.requests import remaining_seconds, serving
from ragmesh.chassis.settings import load
from ragmesh.clients.cache import CacheClient
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.errors import CallerKeyUnknownError, CallerMissingError, MethodDeniedError
from ragmesh.gateway.keys import KnownKeys
from ragmesh.testing.callers import MeshKeys
from ragmesh.testing.clocks import ManualClock
from tests.wiring.test_targets import run_and_look, services_at

ANNA = Principal("tenant-1", "anna")


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

    async def look(ready: Ready, _stop: object) -> None:
        assert await services_at(ready.internal_grpc or "") == {
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
            "ragmesh.api.cache.v1.CacheService",
            "ragmesh.api.cache.v1.HitCacheService",
        }
        async with channel(ready.internal_grpc or "") as made:
            assert await CacheClient(made, gateway).lookup_answer(ANNA, "key") is None
            with pytest.raises(MethodDeniedError):
                await CacheClient(made, gateway).lookup_vectors("encoder", ["text"])
            with pytest.raises(CallerMissingError):
                await CacheClient(made, Nobody()).lookup_answer(ANNA, "key")
            with pytest.raises(CallerKeyUnknownError):
                await CacheClient(made, MeshKeys().signer("gateway")).lookup_answer(ANNA, "key")

    await run_and_look(settings, look)


async def test_the_whole_mesh_in_one_process_has_no_key(tmp_path: Path) -> None:
    flags = {"data_dir": tmp_path, "gateway.http": "127.0.0.1:0", "gateway.grpc": "127.0.0.1:0"}

    async def look(ready: Ready, _stop: object) -> None:
        assert ready.internal_grpc is None

    await run_and_look(load(Settings, config_file=None, environ={}, overrides=flags), look)
    assert not (tmp_path / "identity").exists()


async def test_a_new_key_is_waited_for_no_longer_than_lets_its_secret_still_get_out() -> None:
    with serving("r", timeout_seconds=0.2):
        await in_force(KnownKeys(ManualClock()), "never heard of")
        left = remaining_seconds()
    assert left is not None
    assert left > 0
