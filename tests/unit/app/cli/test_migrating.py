"""`ragmesh migrate` on a catalog in a file; the one in a database is in tests/servers."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import create_engine, text

from ragmesh.indexing.adapters.catalog.migrating import revisions, upgrade
from tests.unit.app.cli.conftest import Program

NEWEST = revisions()[-1]


def make(folder: Path, schema: str) -> None:
    """A catalog with an older schema."""
    folder.mkdir(exist_ok=True)
    engine = create_engine(f"sqlite:///{folder}/catalog.db")
    with engine.begin() as connection:
        upgrade(connection, schema)
    engine.dispose()


def test_a_migration_says_from_which_schema_to_which_and_is_done_once(
    program: Program, tmp_path: Path
) -> None:
    make(tmp_path, "0005")
    said = program("migrate", "--data-dir", str(tmp_path))
    assert said.out == f"{tmp_path}/catalog.db: had schema 0005 and has {NEWEST} now\n"
    said = program("migrate", "--data-dir", str(tmp_path))
    assert said.out == f"{tmp_path}/catalog.db: has schema {NEWEST} already\n"
    make(tmp_path / "last", NEWEST)
    said = program("migrate", "--data-dir", str(tmp_path / "last"))
    told = f"has schema {NEWEST} already, and the table tenant_keepers now"
    assert said.out == f"{tmp_path}/last/catalog.db: {told}\n"
    said = program("migrate", "--data-dir", str(tmp_path / "new"), "--json")
    assert json.loads(said.out) == {
        "catalog": str(tmp_path / "new" / "catalog.db"),
        "before": None,
        "now": NEWEST,
    }


def test_a_newer_catalog_is_refused_and_stays_as_it_is(program: Program, tmp_path: Path) -> None:
    make(tmp_path, "0005")
    engine = create_engine(f"sqlite:///{tmp_path}/catalog.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = program("migrate", "--data-dir", str(tmp_path))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: DATA_FROM_NEWER_VERSION: the catalog has schema 9999")
    with engine.begin() as connection:
        columns = connection.execute(text("PRAGMA table_info(tenants)")).all()
    assert len(columns) == 3  # as of schema 0005
    engine.dispose()


def test_a_folder_that_cannot_be_made_is_one_line(program: Program, tmp_path: Path) -> None:
    said = program("migrate", "--data-dir", str(tmp_path / ("x" * 300)))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("ragmesh: DATA_DIRECTORY_UNUSABLE:")
    assert len(said.err.splitlines()) == 1


def test_a_password_in_the_url_is_refused(program: Program) -> None:
    program.environ["RAGMESH_CATALOG__URL"] = "postgresql+asyncpg://u:secret@localhost/d"
    said = program("migrate")
    assert said.code == 1
    assert "catalog.password_file" in said.err
    assert "secret" not in said.err
