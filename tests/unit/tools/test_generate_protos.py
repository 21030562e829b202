"""Which release the contracts are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.generate_protos import ToolError, last_release, version


def test_contracts_are_compared_with_the_highest_release(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "0.1.2"):
        (tmp_path / f"{name}.binpb").touch()
    assert last_release(tmp_path) == tmp_path / "0.10.0.binpb"


def test_before_the_first_release_there_is_nothing_to_break(tmp_path: Path) -> None:
    assert last_release(tmp_path / "released") is None


@pytest.mark.parametrize("text", ["0.1.0.dev0", "0.1", "v0.1.0", ""])
def test_only_a_finished_version_is_a_release(text: str) -> None:
    with pytest.raises(ToolError, match="no release"):
        version(text)
