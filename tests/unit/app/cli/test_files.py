"""Which files a person means by a path, and which ids their documents get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ragmesh.app.cli.files import FoundFile, Refused, find_files, read_upload
from ragmesh.sdk import arguments


def ids(*arguments: str | Path) -> list[str]:
    """The ids of what was found; a refusal stands as its reason."""
    return [
        found.document_id if isinstance(found, FoundFile) else found.error.reason
        for found in find_files([str(argument) for argument in arguments])
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("b.md", "a.txt", "sub/c.md", "sub/deep/d.md", ".hidden", ".git/config"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_folder_means_every_visible_file_in_it(folder: Path) -> None:
    assert ids(folder) == ["a.txt", "b.md", "sub:c.md", "sub:deep:d.md"]


def test_ids_are_the_same_wherever_the_folder_is_named_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert ids(".") == ids("./") == ids(folder)


def test_a_file_is_known_by_its_name_even_when_hidden(folder: Path) -> None:
    assert ids(folder / "sub" / "c.md") == ["c.md"]
    assert ids(folder / ".git" / "config") == ["config"]
    (name,) = ids(folder / ".hidden")
    assert name.startswith("hidden-")


def test_a_pattern_keeps_the_path_below_its_fixed_part(folder: Path) -> None:
    assert ids(f"{folder}/**/*.md") == ["b.md", "sub:c.md", "sub:deep:d.md"]
    assert ids(f"{folder}/sub/*.md") == ["c.md"]


def test_a_file_with_a_name_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "[1].txt").write_text("x")
    (tmp_path / "1.txt").write_text("x")
    (found,) = find_files([str(tmp_path / "[1].txt")])
    assert found.path.name == "[1].txt"


def test_what_cannot_be_used_is_reported_and_the_rest_goes_on(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "broken").symlink_to(folder / "nowhere")
    assert ids(folder / "no", folder / "pipe", f"{folder}/*.pdf", folder / "a.txt") == [
        "PATH_UNREADABLE",
        "PATH_UNREADABLE",
        "PATH_UNREADABLE",
        "a.txt",
    ]
    assert ids(folder) == ["a.txt", "b.md", "PATH_UNREADABLE", "sub:c.md", "sub:deep:d.md"]


def test_links_to_folders_are_not_followed_in_circles(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "link.md").symlink_to(folder / "b.md")
    assert ids(folder) == ["a.txt", "b.md", "link.md", "sub:c.md", "sub:deep:d.md"]


def test_two_files_of_one_id_are_not_written_over_each_other(folder: Path) -> None:
    (folder / "sub" / "b.md").write_text("another")
    assert ids(folder / "b.md", folder / "sub" / "b.md") == ["b.md", "INVALID_ARGUMENT"]


def test_a_file_named_twice_is_added_once(folder: Path) -> None:
    assert ids(folder / "b.md", f"{folder}/*.md") == ["b.md"]


def test_a_file_that_no_mesh_takes_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arguments, "LARGEST_FILE_BYTES", 4)
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    refused = read_upload(FoundFile(path, "a"))
    assert isinstance(refused, Refused)
    assert refused.error.reason == "FILE_TOO_LARGE"
    path.write_bytes(b"1234")
    assert not isinstance(read_upload(FoundFile(path, "a")), Refused)


def test_a_file_that_vanished_is_reported(tmp_path: Path) -> None:
    refused = read_upload(FoundFile(tmp_path / "gone", "gone"))
    assert isinstance(refused, Refused)
    assert refused.error.reason == "PATH_UNREADABLE"
