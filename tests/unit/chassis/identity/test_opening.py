"""Keys are made at the first start, and changed while processes run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ragmesh.api.types.v1.caller_pb2 import SignedCaller
from ragmesh.chassis.identity import opening
from ragmesh.chassis.identity.key_files import KeyFiles
from ragmesh.chassis.identity.keys import SPEAKERS, KeyRing
from ragmesh.chassis.identity.opening import Identity, open_identity
from ragmesh.chassis.identity.settings import IdentitySettings
from ragmesh.chassis.lifecycle import Lifecycle, Tasks
from ragmesh.chassis.settings import load
from ragmesh.core.callers import Machine, Principal
from ragmesh.core.errors import (
    CallerKeyUnknownError,
    InvalidSettingsError,
    KeyFileExposedError,
    KeyNotListedError,
)
from ragmesh.testing.clocks import ManualClock

ANNA = Principal("tenant-1", "anna")
INVALIDATE = "/ragmesh.api.cache.v1.CacheService/Invalidate"
LOOKUP = "/ragmesh.api.cache.v1.CacheService/LookupAnswer"
SETTINGS = IdentitySettings()


@dataclass
class Processes:
    """Processes of one data directory, on one clock."""

    folder: Path
    clock: ManualClock
    tasks: Tasks

    def opened(
        self, target: str, settings: IdentitySettings = SETTINGS
    ) -> AbstractAsyncContextManager[Identity]:
        return open_identity(
            settings, target, data_dir=self.folder, clock=self.clock, tasks=self.tasks
        )

    def files(self, target: str) -> KeyFiles:
        folder = self.folder / "identity"
        return KeyFiles(folder / f"{target}.key", folder / "public-keys.json")

    def started_before(self, *targets: str) -> None:
        """Leave behind what the first start of these targets does."""
        for target in targets:
            self.files(target).make(SPEAKERS[target])

    async def look(self, times: int = 1) -> None:
        """Let every process that runs look at its files."""
        running = len(self.tasks.names)
        for _ in range(times):
            await self.clock.until_asleep(running)
            await self.clock.advance(SETTINGS.reread_seconds)
            await self.clock.until_asleep(running)


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Processes]:
    async with Lifecycle() as life:
        yield Processes(folder, ManualClock(), life.tasks)


def key_of(identity: Identity) -> str:
    """Id of the key that signs a token now."""
    ((_, token),) = identity.signer.metadata()
    assert isinstance(token, bytes)
    return SignedCaller.FromString(token).key_id


async def test_a_process_alone_is_ready_at_once_and_believes_itself(tmp_path: Path) -> None:
    async with processes(tmp_path) as mesh, mesh.opened("gateway") as gateway:
        assert gateway.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA
        assert mesh.clock.monotonic() == 0


async def test_a_key_that_was_just_made_is_used_once_those_who_run_have_read_it(
    tmp_path: Path,
) -> None:
    async with processes(tmp_path) as mesh, mesh.opened("cache") as cache:

        async def start() -> None:
            async with mesh.opened("indexing") as indexing:
                metadata = indexing.signer.metadata()
                assert cache.guard.admit(INVALIDATE, metadata) == Machine("indexing")

        async with asyncio.TaskGroup() as group:
            starting = group.create_task(start())
            await mesh.clock.until_asleep(2)  # the loop of the cache, and who starts
            await mesh.look()
            await mesh.clock.until_asleep(2)  # the cache has looked, too
            assert not starting.done()
            await mesh.look()


async def test_a_key_of_an_earlier_start_is_used_at_once(tmp_path: Path) -> None:
    async with processes(tmp_path) as mesh:
        mesh.started_before("cache", "gateway")
        async with mesh.opened("cache") as cache, mesh.opened("gateway") as gateway:
            assert cache.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA
        assert mesh.clock.monotonic() == 0


async def test_a_new_key_signs_once_it_is_listed_and_the_old_one_goes_when_it_is_not(
    tmp_path: Path,
) -> None:
    async with processes(tmp_path) as mesh:
        mesh.started_before("cache", "gateway")
        files = mesh.files("gateway")
        async with mesh.opened("cache") as cache, mesh.opened("gateway") as gateway:
            first, metadata = key_of(gateway), gateway.signer.metadata(ANNA)
            files.key_file.unlink()
            await mesh.look()
            assert key_of(gateway) == first
            mesh.started_before("gateway")  # a new key, listed beside the old one
            await mesh.look(2)
            assert key_of(gateway) == first  # others may not have looked yet
            await mesh.look()
            second = key_of(gateway)
            assert second != first
            assert cache.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA
            assert cache.guard.admit(LOOKUP, metadata) == ANNA
            files.key_file.unlink()
            mesh.started_before("gateway")  # pushes the first key out
            await mesh.look(3)
            with pytest.raises(CallerKeyUnknownError):
                cache.guard.admit(LOOKUP, metadata)
            assert cache.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA


async def test_a_key_that_is_not_listed_yet_does_not_sign(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with processes(tmp_path) as mesh:
        mesh.started_before("cache", "gateway")
        files = mesh.files("gateway")
        async with mesh.opened("gateway") as gateway:
            first, listed = key_of(gateway), files.public_keys_file.read_bytes()
            files.key_file.unlink()
            mesh.started_before("gateway")
            both = files.public_keys_file.read_bytes()
            files.public_keys_file.write_bytes(listed)
            await mesh.look()
            assert key_of(gateway) == first
            assert [record.getMessage() for record in caplog.records] == [
                "a key is not listed and is not used"
            ]
            files.public_keys_file.write_bytes(both)
            await mesh.look(3)
            assert key_of(gateway) != first


@pytest.mark.parametrize("which", ["key_file", "public_keys_file"])
@pytest.mark.parametrize("harm", ["removed", "damaged", "opened to everybody"])
async def test_a_file_that_goes_bad_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, which: str, harm: str
) -> None:
    async with processes(tmp_path) as mesh:
        mesh.started_before("cache", "gateway")
        path = getattr(mesh.files("gateway"), which)
        content = path.read_bytes()
        async with mesh.opened("cache") as cache, mesh.opened("gateway") as gateway:
            key = key_of(gateway)
            match harm:
                case "removed":
                    path.unlink()
                case "damaged":
                    path.write_bytes(content[: len(content) // 2])
                case _:
                    path.chmod(0o666)
            for _ in range(3):
                await mesh.look()
            assert key_of(gateway) == key
            assert cache.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA
            told = [r for r in caplog.records if r.levelno == logging.ERROR]
            assert len(told) == (1 if which == "key_file" else 2)  # one a process that reads it
            assert {record.__dict__["path"] for record in told} == {str(path)}
            assert "PRIVATE" not in caplog.text


async def test_no_call_waits_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, released = threading.Event(), threading.Event()

    def read(_path: Path) -> KeyRing:
        hangs.set()
        released.wait()
        return KeyRing.of()

    async with processes(tmp_path) as mesh:
        mesh.started_before("cache", "gateway")
        async with mesh.opened("gateway") as gateway:
            monkeypatch.setattr(opening, "read_public_keys", read)
            mesh.files("gateway").public_keys_file.touch()
            await mesh.clock.until_asleep(1)
            await mesh.clock.advance(SETTINGS.reread_seconds)
            await asyncio.to_thread(hangs.wait)
            try:
                for number in range(100):
                    user = Principal("tenant-1", f"user-{number}")
                    assert gateway.guard.admit(LOOKUP, gateway.signer.metadata(user)) == user
            finally:
                released.set()


async def test_paths_in_the_settings_are_read_and_never_written(tmp_path: Path) -> None:
    async with processes(tmp_path / "made") as made:
        made.folder.mkdir()
        made.started_before("gateway")
        files = made.files("gateway")
    given = IdentitySettings(key_file=files.key_file, public_keys_file=files.public_keys_file)
    before = files.marks()
    data_dir = tmp_path / "empty"
    data_dir.mkdir()
    async with processes(data_dir) as mesh:
        async with mesh.opened("gateway", given) as gateway:
            assert gateway.guard.admit(LOOKUP, gateway.signer.metadata(ANNA)) == ANNA
        with pytest.raises(KeyNotListedError):
            async with mesh.opened("cache", given):
                pass
        files.key_file.chmod(0o644)
        with pytest.raises(KeyFileExposedError):
            async with mesh.opened("gateway", given):
                pass
        files.key_file.chmod(0o600)
    assert list(data_dir.iterdir()) == []
    assert files.marks()[1] == before[1]


@pytest.mark.parametrize("one", ["key_file", "public_keys_file"])
def test_one_path_without_the_other_is_refused(one: str) -> None:
    with pytest.raises(InvalidSettingsError):
        load(IdentitySettings, config_file=None, environ={}, overrides={one: "/etc/keys"})


def test_every_target_but_the_whole_mesh_has_a_key() -> None:
    assert set(SPEAKERS) == {
        "gateway", "embedding", "retrieval", "generation", "cache", "indexing", "indexer",
        "operator",
    }  # fmt: skip
