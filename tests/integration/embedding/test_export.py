"""`make model` writes the model once, completes what is incomplete, and leaves the rest alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.embedding.adapters.export import export_if_needed, main
from ragmesh.embedding.adapters.manifest import MANIFEST_FILE, MODEL_FILE, read_checked_manifest


def test_a_whole_model_stays_as_it_is(
    model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = (model_folder / MODEL_FILE).stat().st_mtime_ns
    assert main(["--out", str(model_folder)]) == 0
    assert capsys.readouterr().out.endswith("up to date\n")
    assert (model_folder / MODEL_FILE).stat().st_mtime_ns == written


def test_an_export_that_was_interrupted_is_made_whole(tmp_path: Path, model_folder: Path) -> None:
    whole = read_checked_manifest(model_folder)
    (tmp_path / MODEL_FILE).write_bytes(b"the first half of a gra")
    assert export_if_needed(tmp_path)
    assert read_checked_manifest(tmp_path) == whole, "the same files, byte for byte"
    assert not export_if_needed(tmp_path)
    (tmp_path / MANIFEST_FILE).write_bytes(b"{}")
    assert export_if_needed(tmp_path)
    (tmp_path / MODEL_FILE).unlink()
