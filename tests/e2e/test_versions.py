"""Processes of this version and of the last release are one mesh, whoever calls whom."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest

from tests.e2e.conftest import HANDBOOK
from tests.e2e.meshes import running_split
from tools.charts.releasing import last_release, version_of
from tools.image.recipe import find_commit, is_shallow, take_out
from tools.split import TARGETS, Ports

LAST_RELEASE = version_of("ragmesh", last_release("ragmesh"))
QUESTION = {"question": "How strong must the mean wind be for the Lyra to stay in port?"}
CITED = "departure-and-arrival.pdf"
MESHES = 4
_OLDER_IN = dict(zip(TARGETS, combinations(range(MESHES), 2), strict=True))
"""The meshes in which a target is of the last release. No two targets have the same: of any two,
there is a mesh in which only the first is older, and one in which only the second is."""


@dataclass(frozen=True)
class TwoVersions(Ports):
    """Some targets run what lies in a folder."""

    source: Path = Path()
    older: frozenset[str] = frozenset()

    def command(self, name: str, data_dir: Path) -> list[str]:
        words = super().command(name, data_dir)
        own = ["env", f"PYTHONPATH={self.source / 'services'}"] if name in self.older else []
        return [*own, *words]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last release."""
    if find_commit(f"v{LAST_RELEASE}") is None and is_shallow():
        pytest.skip(f"NOT SHOWN: this clone is shallow and does not reach back to {LAST_RELEASE}")
    folder = tmp_path_factory.mktemp("last") / "release"
    take_out(f"v{LAST_RELEASE}", folder)
    words = [sys.executable, "-c", "import ragmesh; print(ragmesh.__file__)"]
    environ = {**os.environ, "PYTHONPATH": str(folder / "services")}
    found = subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout
    assert Path(found).is_relative_to(folder), "that of this version would be run"
    return folder


# PD-8
@pytest.mark.parametrize("number", range(MESHES))
def test_half_a_mesh_may_be_of_the_last_release(number: int, source: Path, tmp_path: Path) -> None:
    older = frozenset(target for target, meshes in _OLDER_IN.items() if number in meshes)
    free = Ports.free()
    ports = TwoVersions(free.http, free.grpc, free.internal_grpc, free.internal_http, source, older)
    with running_split(tmp_path / "data", ports) as mesh:
        assert mesh.cli("collections", "create", "handbook").code == 0
        added = mesh.cli("documents", "add", HANDBOOK, "-c", "handbook")
        assert added.out.endswith("10 files: 10 indexed\n"), added.out + added.err
        for cached in (False, True):
            answer = mesh.rest.post("/collections/handbook/ask", json=QUESTION).json()
            assert {one["document_id"] for one in answer["citations"]} == {CITED}
            assert answer["cached"] is cached
        assert mesh.stop() == 0, mesh.log
