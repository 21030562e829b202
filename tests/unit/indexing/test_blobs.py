"""Blobs: durable or not there, under names that say nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ragmesh.core.errors import StorageFailedError, StorageFullError, StoreDamagedError
from ragmesh.indexing.adapters import blobs as module
from ragmesh.indexing.adapters.blobs import FileBlobs, open_file_blobs


async def listed(blobs: FileBlobs) -> set[str]:
    return {blob.key async for batch in blobs.list_blobs() for blob in batch}


async def test_what_was_written_is_read_again_after_a_restart(tmp_path: Path) -> None:
    contents = [b"", b"one", b"one", bytes(range(256)) * 1_000]
    async with open_file_blobs(tmp_path / "blobs") as blobs:
        keys = await blobs.write_blobs(contents)
        assert len(set(keys)) == len(contents)
    async with open_file_blobs(tmp_path / "blobs") as blobs:
        assert [await blobs.read_blob(key) for key in keys] == contents
        assert await listed(blobs) == set(keys)


async def test_deleted_blobs_are_gone_and_may_be_deleted_again(tmp_path: Path) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        first, second = await blobs.write_blobs([b"1", b"2"])
        for _ in range(2):
            await blobs.delete_blobs([first])
        assert await listed(blobs) == {second}
        with pytest.raises(StoreDamagedError):
            await blobs.read_blob(first)


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 32, "0" * 31])
async def test_a_key_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        with pytest.raises(StoreDamagedError):
            await blobs.read_blob(key)


async def test_a_full_disk_keeps_nothing_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        write, written = module._write_file, []

        def fill_up(path: Path, content: bytes) -> None:
            if len(written) == 2:
                with module.storage_errors(path):
                    path.write_bytes(content[:1])
                    raise OSError(errno.ENOSPC, "No space left on device")
            write(path, content)
            written.append(path)

        monkeypatch.setattr(module, "_write_file", fill_up)
        with pytest.raises(StorageFullError):
            await blobs.write_blobs([b"1", b"2", b"3", b"4"])
        assert len(written) == 2
        assert await listed(blobs) == set()


async def test_a_disk_that_fails_is_told_apart_from_a_blob_that_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    async with open_file_blobs(folder) as blobs:
        (key,) = await blobs.write_blobs([b"1"])
        (folder / key[:2] / key).unlink()
        (folder / key[:2] / key).mkdir()  # what cannot be read as a file, whoever asks
        with pytest.raises(StorageFailedError):
            await blobs.read_blob(key)
        with pytest.raises(StorageFailedError):
            await blobs.delete_blobs([key])
        folder.rename(tmp_path / "gone")
        with pytest.raises(StorageFailedError):
            await listed(blobs)
        folder.write_text("a file where the folder was")
        with pytest.raises(StorageFailedError):
            await listed(blobs)


async def test_names_tell_nothing_and_only_the_owner_may_read(tmp_path: Path) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        (key,) = await blobs.write_blobs([b"secret"])
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240  (the test's own look)
    assert path.name == key
    assert path.stat().st_mode & 0o077 == 0
