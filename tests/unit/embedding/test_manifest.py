"""Nothing is loaded from a model folder that is not what its manifest promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.core.errors import ModelCorruptError, ModelMissingError
from ragmesh.embedding.adapters.manifest import (
    FORMAT_VERSION,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Manifest,
    read_checked_manifest,
    sha256_of,
)


def write_model(folder: Path, format_version: int = FORMAT_VERSION) -> Manifest:
    (folder / MODEL_FILE).write_bytes(b"a graph")
    (folder / TOKENIZER_FILE).write_bytes(b"{}")
    manifest = Manifest(
        format_version=format_version,
        model="tiny",
        weights_sha256="ab" * 32,
        precision="fp32",
        dimension=8,
        max_tokens=16,
        special_tokens=2,
        languages=("en", "de"),
        files={name: sha256_of(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    )
    (folder / MANIFEST_FILE).write_bytes(manifest.to_json())
    return manifest


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    assert write_model(tmp_path) == read_checked_manifest(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE])
def test_a_missing_file_says_the_command_that_makes_it(tmp_path: Path, name: str) -> None:
    write_model(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelMissingError, match="make model"):
        read_checked_manifest(tmp_path)


def test_a_folder_that_is_not_there_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="make model"):
        read_checked_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"a grap", b"a grapH", b""], ids=["cut", "flipped", "empty"])
def test_a_file_that_was_cut_or_changed_is_corrupt(tmp_path: Path, content: bytes) -> None:
    write_model(tmp_path)
    (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(ModelCorruptError) as caught:
        read_checked_manifest(tmp_path)
    assert caught.value.metadata == {"path": str(tmp_path / MODEL_FILE)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"files": {}, "languages": []}',
        b'{"files": 1, "languages": []}',
        b"\xff",
    ],
)
def test_a_manifest_that_is_none_is_corrupt(tmp_path: Path, content: bytes) -> None:
    write_model(tmp_path)
    (tmp_path / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ModelCorruptError):
        read_checked_manifest(tmp_path)


def test_a_model_of_another_format_is_made_anew_and_not_guessed_at(tmp_path: Path) -> None:
    write_model(tmp_path, format_version=FORMAT_VERSION + 1)
    with pytest.raises(ModelCorruptError, match="format"):
        read_checked_manifest(tmp_path)
