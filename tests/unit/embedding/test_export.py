"""Only the published weights are exported, and a failure says what to do."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ragmesh.core.errors import ModelCorruptError, ModelMissingError
from ragmesh.embedding.adapters import export


def test_other_weights_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "model"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelCorruptError, match="not the published model"):
        export.export(source, folder)
    assert not folder.exists()


def test_a_missing_wheel_is_a_missing_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(export, "distribution", absent)
    with pytest.raises(ModelMissingError, match="make setup"):
        export.locate_wheel_model()
    assert export.main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("MODEL_MISSING: ")
