from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragmesh.chassis import files
from ragmesh.chassis.files import make_folder_durably, write_durably
from ragmesh.core.errors import StorageFullError


def test_content_is_there_when_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    write_durably(path, b"one")
    write_durably(path, iter([b"tw", b"o"]))
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "blob", b"x")
    assert (tmp_path / "blob").stat().st_mode & 0o777 == 0o600


def test_a_longest_name_is_written_too(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_durably(path, b"x")
    assert path.read_bytes() == b"x"


def test_content_that_breaks_off_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    write_durably(path, b"old")

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise ConnectionError("upload broke off")

    with pytest.raises(ConnectionError):
        write_durably(path, broken())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "blob", []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        what = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(("folder" if what.is_dir() else "file", path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_durably(path, b"x")
    assert synced == [("file", False), ("folder", True)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError):
        write_durably(tmp_path / "blob", b"x")
    assert list(tmp_path.iterdir()) == []


def test_other_failures_of_the_disk_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(files, "sync_folder", broken)
    with pytest.raises(OSError, match="broken"):
        write_durably(tmp_path / "blob", b"x")


def test_folders_are_made_with_their_parents_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_folder_durably(folder)
    make_folder_durably(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
