"""A mesh that cannot start says why on one line; nothing of what was there is changed."""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
from pathlib import Path

import pytest

from ragmesh.embedding.settings import default_model_folder
from tests.e2e.meshes import Mesh, Said, ragmesh, running

MINILM = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a mesh that held a document and was stopped by Ctrl-C."""
    place = tmp_path_factory.mktemp("written")
    (place / "note.txt").write_text("The barn owl of Tarn eats forty voles a week.\n")
    with running(place / "data") as mesh:
        assert mesh.cli("collections", "create", "notes").code == 0
        assert mesh.cli("documents", "add", place / "note.txt", "-c", "notes").code == 0
        assert mesh.stop(signal.SIGINT) == 0, mesh.log
    return place / "data"


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(written, tmp_path / "data"))


def start(data_dir: Path, *flags: str | Path, **more: str) -> Said:
    """Try to run a mesh that cannot start."""
    free = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    return ragmesh("run", "--data-dir", data_dir, *free, *flags, **more)


def refused(said: Said, reason: str) -> str:
    """The sentence after the reason, once everything else is as it should be."""
    assert (said.code, said.out) == (1, ""), said.err
    head = f"ragmesh: {reason}: "
    assert said.error.startswith(head), said.err
    return said.error.removeprefix(head)


def test_a_second_process_on_the_same_folder_is_refused(mesh: Mesh) -> None:
    sentence = refused(start(mesh.data_dir), "DATA_DIRECTORY_IN_USE")
    assert any(f"process {pid};" in sentence for pid in mesh.pids)
    assert mesh.rest.get("/collections").status_code == 200


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in refused(start(tmp_path / "data", "--http", address), "PORT_IN_USE")


def test_unknown_settings_are_named_all_at_once(tmp_path: Path) -> None:
    said = start(tmp_path / "data", RAGMESH_TARGTE="all", RAGMESH_GATEWAY__HTP="x")
    sentence = refused(said, "UNKNOWN_SETTING")
    assert "RAGMESH_TARGTE" in sentence
    assert "RAGMESH_GATEWAY__HTP" in sentence


def test_contradictory_settings_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "mesh.yaml"
    config.write_text(
        f"catalog: {{url: 'sqlite+aiosqlite:///{tmp_path}/one.db'}}\n"
        f"events: {{url: 'sqlite:///{tmp_path}/one.db'}}\n"
    )
    said = start(tmp_path / "data", "--config", config)
    assert "same file" in refused(said, "INVALID_SETTINGS")


def test_developer_mode_is_refused_in_a_cluster(tmp_path: Path) -> None:
    in_a_pod = start(tmp_path / "data", KUBERNETES_SERVICE_HOST="10.0.0.1")
    assert "developer mode" in refused(in_a_pod, "INVALID_SETTINGS")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(start(tmp_path / "file" / "data"), "DATA_DIRECTORY_UNUSABLE")


@pytest.mark.parametrize("store", ["catalog", "events", "index"])
def test_a_store_of_a_newer_version_is_not_touched(data: Path, store: str) -> None:
    path = data / f"{store}.db"
    if store == "index":
        (path,) = (data / "index").rglob("truth.db")
    with sqlite3.connect(path) as database:
        if store == "catalog":
            assert database.execute("UPDATE alembic_version SET version_num = '9999'").rowcount == 1
        else:
            database.execute("PRAGMA user_version = 9999")
    database.close()
    before = path.read_bytes()
    refused(start(data), "DATA_FROM_NEWER_VERSION")
    assert path.read_bytes() == before


def test_a_missing_model_is_refused_with_how_to_make_it(tmp_path: Path) -> None:
    said = start(tmp_path / "data", XDG_CACHE_HOME=str(tmp_path))
    assert "make model" in refused(said, "MODEL_MISSING")


def test_a_model_with_a_wrong_byte_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ragmesh" / "models" / MINILM
    shutil.copytree(default_model_folder(MINILM), folder)
    with (folder / "model.onnx").open("r+b") as weights:
        weights.seek(-1_000, 2)
        byte = weights.read(1)
        weights.seek(-1_000, 2)
        weights.write(bytes([byte[0] ^ 1]))
    said = start(tmp_path / "data", XDG_CACHE_HOME=str(tmp_path))
    assert "model.onnx" in refused(said, "MODEL_CORRUPT")


def test_the_doctor_finds_a_healthy_mesh(mesh: Mesh) -> None:
    said = mesh.cli("doctor", "--data-dir", mesh.data_dir)
    assert "ok      mesh: answers at" in said.out
    assert "note    stores: DATA_DIRECTORY_IN_USE: " in said.out
    assert any(f"process {pid};" in said.out for pid in mesh.pids)
    assert "ok      parsers: sealed: as " in said.out
    assert f"ok      model {MINILM}" in said.out


def test_the_doctor_names_everything_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = ragmesh(
            "doctor",
            "--data-dir",
            tmp_path / "file",
            "--server",
            "127.0.0.1:1",
            XDG_CACHE_HOME=str(tmp_path),
            RAGMESH_GATEWAY__HTTP=address,
        )
    assert said.code == 1
    failed = [line for line in said.out.splitlines() if line.startswith("failed")]
    reasons = [line.split(": ")[1] for line in failed]
    assert reasons == ["DATA_DIRECTORY_UNUSABLE", "PORT_IN_USE", "MODEL_MISSING", "UNAVAILABLE"]
