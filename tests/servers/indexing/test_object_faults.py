"""An S3 that fails loses nothing and has nothing given up; it is used again by itself."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.errors import (
    StorageFullError,
    StoreDamagedError,
    StoreRefusedError,
    StoreUnavailableError,
)
from ragmesh.indexing.adapters.object_blobs import MARK, ObjectBlobs
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.adapters.object_store import PART_BYTES, object_store
from tests.servers.indexing.buckets import Owner, place_in
from tools.servers.server import Server, running

pytestmark = pytest.mark.servers


def blobs_at(place: ObjectPlace, owner: Owner | None = None) -> ObjectBlobs:
    return ObjectBlobs(object_store(place, SystemClock()), owner or Owner())


def folder_of(server: Server, place: ObjectPlace) -> Path:
    """Where the server keeps what is below the place."""
    return server.folder / "buckets" / place.url.removeprefix("s3://")


async def until_there(blobs: ObjectBlobs) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                await blobs.require_place()
            except StoreUnavailableError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_large_blob_is_sent_in_parts_and_comes_back_whole(s3_server: Server) -> None:
    blobs = blobs_at(place_in(s3_server))
    contents = [bytes([number]) * (2 * PART_BYTES + number) for number in range(1, 4)]
    keys = await blobs.write_blobs(contents)
    assert [await blobs.read_blob(key) for key in keys] == contents
    assert await blobs.digest_blobs(keys) == tuple(sha256(one).hexdigest() for one in contents)


async def test_what_is_there_is_not_written_again_and_nothing_else_is_written_over_it(
    s3_server: Server,
) -> None:
    store = object_store(place_in(s3_server), SystemClock())
    wins = await asyncio.gather(*(store.create("one", f"{n}".encode()) for n in range(16)))
    assert wins.count(True) == 1
    assert await store.read("one") == f"{wins.index(True)}".encode()


async def test_an_s3_that_was_killed_keeps_what_was_written_and_is_used_again(
    s3_server: Server,
) -> None:
    blobs = blobs_at(place_in(s3_server))
    (key,) = await blobs.write_blobs([b"kept"])
    s3_server.kill()
    try:
        for asked in (blobs.read_blob(key), blobs.write_blobs([b"new"]), blobs.require_place()):
            with pytest.raises(StoreUnavailableError):
                await asked
        began = time.perf_counter()
        with pytest.raises(StoreUnavailableError, match="left alone"):
            await blobs.read_blob(key)
        assert time.perf_counter() - began < 0.1
        with pytest.raises(StoreUnavailableError):
            await blobs.missing_blobs([key])
    finally:
        s3_server.start()
    await until_there(blobs)
    assert await blobs.read_blob(key) == b"kept"


async def test_a_frozen_s3_is_waited_for_as_long_as_was_said(s3_server: Server) -> None:
    blobs = blobs_at(replace(place_in(s3_server), request_seconds=0.5))
    (key,) = await blobs.write_blobs([b"kept"])
    s3_server.freeze()
    try:
        began = time.perf_counter()
        with pytest.raises(StoreUnavailableError):
            await blobs.read_blob(key)
        assert time.perf_counter() - began < 3.0
    finally:
        s3_server.thaw()
    await until_there(blobs)
    assert await blobs.read_blob(key) == b"kept"


@pytest.fixture
def small_s3(tmp_path: Path) -> Iterator[Server]:
    """A server with room for a little."""
    buckets = tmp_path / "s3" / "buckets"
    buckets.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "ragmesh-test", buckets], check=True)
    try:
        with running("s3", tmp_path / "s3") as server:
            yield server
    finally:
        subprocess.run(["umount", "--lazy", buckets], check=True)


async def test_a_full_s3_keeps_nothing_of_a_batch_and_takes_what_fits(small_s3: Server) -> None:
    blobs = blobs_at(place_in(small_s3))
    (small,) = await blobs.write_blobs([b"small"])
    for contents in ([bytes(2_000_000)] * 3, [bytes(2 * PART_BYTES)]):
        with pytest.raises(StorageFullError):
            await blobs.write_blobs(contents)
    (another,) = await blobs.write_blobs([b"another"])
    listed = {blob.key async for batch in blobs.list_blobs() for blob in batch}
    assert listed == {small, another}


@pytest.mark.parametrize(
    "wrong", [{"secret_access_key": "wrong-secret"}, {"access_key_id": "nobody"}]
)
async def test_wrong_credentials_are_told_and_make_no_blob_look_lost(
    s3_server: Server, wrong: dict[str, str]
) -> None:
    place = place_in(s3_server)
    owner = Owner()
    (key,) = await blobs_at(place, owner).write_blobs([b"kept"])
    refused = blobs_at(with_options(place, wrong), owner)
    for asked in (
        refused.require_place(),
        refused.read_blob(key),
        refused.missing_blobs([key]),
        refused.write_blobs([b"new"]),
    ):
        with pytest.raises(StoreRefusedError, match="credentials right"):
            await asked


def with_options(place: ObjectPlace, changes: dict[str, str]) -> ObjectPlace:
    return replace(place, options=tuple((dict(place.options) | changes).items()))


async def test_a_bucket_that_is_not_there_is_told_and_makes_no_blob_look_lost(
    s3_server: Server,
) -> None:
    elsewhere = replace(place_in(s3_server), url="s3://no-such-bucket/prefix")
    blobs = blobs_at(elsewhere)
    with pytest.raises(StoreRefusedError, match="NoSuchBucket"):
        await blobs.require_place()
    with pytest.raises(StoreRefusedError, match="NoSuchBucket"):
        await blobs.missing_blobs(["0" * 32])


async def test_a_place_that_was_emptied_or_is_another_one_has_lost_nothing(
    s3_server: Server,
) -> None:
    place = place_in(s3_server)
    owner = Owner()
    blobs = blobs_at(place, owner)
    (key,) = await blobs.write_blobs([b"kept"])
    owner.names = [key]
    folder = folder_of(s3_server, place)
    away = folder.rename(folder.with_name(f"{folder.name}-away"))
    for asked in (blobs.read_blob(key), blobs.missing_blobs([key])):
        with pytest.raises(StoreRefusedError, match="the catalog names some"):
            await asked
    restarted = blobs_at(place, owner)
    with pytest.raises(StoreRefusedError, match="the catalog names some"):
        await restarted.write_blobs([b"into the wrong place"])
    away.rename(folder)
    assert await blobs.read_blob(key) == b"kept"
    (folder / key[:2] / key).unlink()
    assert await blobs.missing_blobs([key]) == {key}
    with pytest.raises(StoreDamagedError):
        await blobs.read_blob(key)


async def test_a_place_that_files_were_copied_to_is_known_by_them(s3_server: Server) -> None:
    place, moved = place_in(s3_server), place_in(s3_server)
    (key,) = await blobs_at(place).write_blobs([b"kept"])
    shutil.copytree(folder_of(s3_server, place) / key[:2], folder_of(s3_server, moved) / key[:2])
    blobs = blobs_at(moved, Owner(names=["0" * 32, key]))
    await blobs.require_place()
    assert await blobs.read_blob(key) == b"kept"


async def test_processes_that_begin_in_a_place_at_the_same_time_agree_on_it(
    s3_server: Server,
) -> None:
    place = place_in(s3_server)
    owner = Owner()
    several = [blobs_at(place, owner) for _ in range(8)]
    written = await asyncio.gather(*(blobs.write_blobs([b"same"]) for blobs in several))
    for blobs in several:
        await blobs.require_place()
        assert await blobs.missing_blobs([key for (key,) in written]) == frozenset()


async def test_the_blobs_of_another_catalog_are_neither_read_nor_swept(
    s3_server: Server,
) -> None:
    place = place_in(s3_server)
    (key,) = await blobs_at(place).write_blobs([b"theirs"])
    foreign = blobs_at(place)
    with pytest.raises(StoreRefusedError, match="holds blobs of another catalog"):
        await foreign.write_blobs([b"ours"])
    with pytest.raises(StoreRefusedError, match="holds blobs of another catalog"):
        await anext(foreign.list_blobs())
    with pytest.raises(StoreRefusedError, match="holds blobs of another catalog"):
        await foreign.delete_blobs([key])


async def test_a_mark_is_no_blob(s3_server: Server) -> None:
    place = place_in(s3_server)
    blobs = blobs_at(place)
    await blobs.require_place()
    assert (folder_of(s3_server, place) / MARK).exists()
    assert [batch async for batch in blobs.list_blobs()] == []
