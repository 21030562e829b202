"""One mesh with the example handbook for every test that does not change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.meshes import ROOT, EmbeddedMesh, Mesh, SeparateMesh, running, running_split

HANDBOOK = ROOT / "examples" / "handbook"


@pytest.fixture(scope="package")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMesh]:
    """One process on a fresh folder, stopped by SIGTERM, which has to end it well."""
    with running(tmp_path_factory.mktemp("all") / "data") as mesh:
        yield mesh
        assert mesh.stop() == 0, mesh.log


@pytest.fixture(scope="package")
def separate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeparateMesh]:
    """One process a target on a fresh folder, all stopped by SIGTERM."""
    with running_split(tmp_path_factory.mktemp("split") / "data") as mesh:
        yield mesh
        assert mesh.stop() == 0, mesh.log


@pytest.fixture(scope="package", params=["all", "split"])
def mesh(request: pytest.FixtureRequest) -> Mesh:
    """The same mesh in both shapes, for tests that do not change it."""
    found: Mesh = request.getfixturevalue({"all": "embedded", "split": "separate"}[request.param])
    return found


@pytest.fixture(scope="package")
def handbook(mesh: Mesh) -> Mesh:
    """The same mesh with the collection `handbook`, made by the command line."""
    if not mesh.has_handbook:
        assert mesh.cli("collections", "create", "handbook").code == 0
        added = mesh.cli("documents", "add", HANDBOOK, "-c", "handbook")
        assert added.code == 0, added.out + added.err
        assert added.out.endswith("10 files: 10 indexed\n")
        mesh.has_handbook = True
    return mesh


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two notes about something that is nowhere else."""
    notes = tmp_path / "notes"
    (notes / "deep").mkdir(parents=True)
    (notes / "one.md").write_text("# Owls\n\nThe barn owl of Tarn eats forty voles a week.\n")
    (notes / "deep" / "two.txt").write_text("The eagle owl of Tarn sleeps until the evening.\n")
    return notes
