"""One mesh with the example handbook for every test that does not change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.meshes import ROOT, STOP_SECONDS, Mesh, running

HANDBOOK = ROOT / "examples" / "handbook"


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh on a fresh folder, stopped by SIGTERM, which has to end it well."""
    with running(tmp_path_factory.mktemp("mesh") / "data") as mesh:
        yield mesh
        mesh.process.terminate()
        assert mesh.process.wait(STOP_SECONDS) == 0, mesh.log.read_text()


@pytest.fixture(scope="session")
def handbook(mesh: Mesh) -> Mesh:
    """The same mesh with the collection `handbook`, made by the command line."""
    assert mesh.cli("collections", "create", "handbook").code == 0
    added = mesh.cli("documents", "add", HANDBOOK, "-c", "handbook")
    assert added.code == 0, added.out + added.err
    assert added.out.endswith("10 files: 10 indexed\n")
    return mesh


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two notes about something that is nowhere else."""
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "one.md").write_text("# Owls\n\nThe barn owl of Tarn eats forty voles a week.\n")
    (notes / "deep" / "two.txt").write_text("The eagle owl of Tarn sleeps until the evening.\n")
    return notes
