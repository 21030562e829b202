"""A mesh in the background is told of as it is now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tools.dev.__main__ import launch


def test_what_a_killed_keeper_left_is_not_taken_for_a_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "mesh.json"
    state.write_text(json.dumps({"servers": [], "processes": []}))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):  # who would keep it is not even started
        launch(tmp_path)
    assert not state.exists()
