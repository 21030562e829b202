"""`make model` writes the model once, completes what is incomplete, and leaves the rest alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.embedding.adapters.export import export_if_needed, main
from ragmesh.embedding.adapters.manifest import (
    EXACT,
    FAST,
    MANIFEST_FILE,
    MODEL_FILE,
    read_checked_manifest,
)


def test_whole_models_stay_as_they_are(
    model_folder: Path, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [folder / MODEL_FILE for folder in (model_folder, fast_folder)]
    written = [model.stat().st_mtime_ns for model in models]
    assert main([]) == 0
    assert capsys.readouterr().out.count("up to date\n") == 2
    assert [model.stat().st_mtime_ns for model in models] == written


def test_exact_weights_where_fast_ones_belong_are_replaced(
    fast_folder: Path, tmp_path: Path
) -> None:
    fast = read_checked_manifest(fast_folder)
    for path in fast_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / MANIFEST_FILE).write_bytes(replace(fast, precision=EXACT).to_json())
    assert export_if_needed(tmp_path, FAST)
    assert read_checked_manifest(tmp_path) == fast, "the same files, byte for byte"


def test_an_export_that_was_interrupted_is_made_whole(tmp_path: Path, model_folder: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"the first half of a gra")
    assert export_if_needed(tmp_path)
    assert read_checked_manifest(tmp_path) == read_checked_manifest(model_folder)
    assert not export_if_needed(tmp_path)
