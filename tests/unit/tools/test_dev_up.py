"""A mesh in the background is told of as it is now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tools.dev.__main__ import launch


def test_what_a_killed_keeper_left_is_not_taken_for_a_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "mesh.json"
    state.write_text(json.dumps({"servers": [], "processes": []}))
    monkeypatch.setattr(sys, "executable", "false")  # who keeps it does not get far
    assert launch(tmp_path) == 1
    assert "the mesh did not start" in capsys.readouterr().err
    assert not state.exists()
