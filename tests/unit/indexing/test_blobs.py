"""Blobs: durable or not there, under names that say nothing."""

from __future__ import annotations

import errno
from hashlib import sha256
from pathlib import Path

import pytest

from ragmesh.chassis.files import storage_errors
from ragmesh.core.errors import StorageFailedError, StorageFullError
from ragmesh.indexing.adapters import blobs as module
from ragmesh.indexing.adapters.blobs import FileBlobs, open_file_blobs
from ragmesh.testing.blobs_contract import BlobStoreContract, OpenBlobs


async def listed(blobs: FileBlobs) -> set[str]:
    return {blob.key async for batch in blobs.list_blobs() for blob in batch}


class TestFileBlobs(BlobStoreContract):
    """Files pass the suite."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> OpenBlobs:
        return lambda: open_file_blobs(tmp_path / "blobs")


async def test_a_full_disk_keeps_nothing_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        write = module._write_file
        written: list[Path] = []

        def fill_up(path: Path, content: bytes) -> None:
            if len(written) == 2:
                with storage_errors(path):
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


async def test_a_folder_whose_disk_is_away_has_lost_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    async with open_file_blobs(folder) as blobs:
        (key,) = await blobs.write_blobs([b"1"])
        folder.rename(tmp_path / "away")
        folder.mkdir()  # what is seen once the disk that was mounted there is not
        for asked in (
            blobs.read_blob(key),
            blobs.missing_blobs([key]),
            blobs.write_blobs([b"into the folder below"]),
        ):
            with pytest.raises(StorageFailedError):
                await asked
        assert list(folder.iterdir()) == []
        folder.rmdir()
        (tmp_path / "away").rename(folder)
        assert await blobs.read_blob(key) == b"1"


async def test_one_blob_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        harmed, whole = await blobs.write_blobs([b"1", b"2"])
        (tmp_path / harmed[:2] / harmed).unlink()
        (tmp_path / harmed[:2] / harmed).mkdir()
        assert await blobs.digest_blobs([harmed, whole]) == (None, sha256(b"2").hexdigest())


async def test_names_tell_nothing_and_only_the_owner_may_read(tmp_path: Path) -> None:
    async with open_file_blobs(tmp_path) as blobs:
        (key,) = await blobs.write_blobs([b"secret"])
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240  (the test's own look)
    assert path.name == key
    assert path.stat().st_mode & 0o077 == 0
