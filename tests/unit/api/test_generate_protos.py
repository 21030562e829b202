"""What the generator does around the tools it runs."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from tools import generate_protos
from tools.generate_protos import (
    INIT,
    ToolError,
    add_packages,
    contents,
    refuse_stale,
    remove_empty_services,
    write,
)

FRESH = {PurePosixPath("types/v1/text_pb2.py"): b"new", PurePosixPath("types/__init__.py"): b""}


def test_writing_leaves_just_what_was_generated(tmp_path: Path) -> None:
    write(
        {PurePosixPath("types/v1/text_pb2.py"): b"edited", PurePosixPath("old_pb2.py"): b""},
        tmp_path,
    )
    write(FRESH, tmp_path)
    assert contents(tmp_path) == FRESH


def test_writing_the_same_again_touches_no_file(tmp_path: Path) -> None:
    write(FRESH, tmp_path)
    for name in FRESH:
        (tmp_path / name).chmod(0o400)
        os.utime(tmp_path / name, ns=(1, 1))
    write(FRESH, tmp_path)
    assert {(tmp_path / name).stat().st_mtime_ns for name in FRESH} == {1}


def test_what_was_written_is_not_stale(tmp_path: Path) -> None:
    write(FRESH, tmp_path)
    refuse_stale(FRESH, tmp_path)


@pytest.mark.parametrize(
    ("committed", "named"),
    [
        ({**FRESH, PurePosixPath("types/v1/text_pb2.py"): b"edited"}, "types/v1/text_pb2.py"),
        ({**FRESH, PurePosixPath("old/v1/old_pb2.py"): b""}, "old/v1/old_pb2.py"),
        ({PurePosixPath("types/v1/text_pb2.py"): b"new"}, "types/__init__.py"),
    ],
    ids=["edited by hand", "left over", "never committed"],
)
def test_stale_code_is_named(
    committed: dict[PurePosixPath, bytes], named: str, tmp_path: Path
) -> None:
    write(committed, tmp_path)
    with pytest.raises(ToolError, match=f": ragmesh/api/{named}$"):
        refuse_stale(FRESH, tmp_path)


def test_buf_without_npm_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package-lock.json").touch()
    monkeypatch.setattr(generate_protos, "BUF_PACKAGE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="apt install npm"):
        generate_protos.buf()


def test_every_folder_down_from_api_becomes_a_package(tmp_path: Path) -> None:
    (tmp_path / "ragmesh/api/types/v1").mkdir(parents=True)
    add_packages(tmp_path, ["ragmesh/api/types/v1/text.proto"])
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("__init__.py")}
    assert made == {f"ragmesh/api{folder}/__init__.py" for folder in ("", "/types", "/types/v1")}
    told = (tmp_path / "ragmesh/api/types/__init__.py").read_text()
    assert told == INIT.format(folder="ragmesh/api/types")


def test_a_file_without_services_leaves_no_service_modules(tmp_path: Path) -> None:
    for suffix in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi"):
        (tmp_path / f"text{suffix}").touch()
    remove_empty_services(tmp_path / "text.proto")
    assert {path.name for path in tmp_path.iterdir()} == {"text_pb2.py", "text_pb2.pyi"}


def test_bytecode_is_no_generated_file(tmp_path: Path) -> None:
    (tmp_path / "v1/__pycache__").mkdir(parents=True)
    (tmp_path / "v1/__pycache__/text_pb2.cpython-311.pyc").touch()
    (tmp_path / "v1/text_pb2.py").write_bytes(b"code")
    assert contents(tmp_path) == {PurePosixPath("v1/text_pb2.py"): b"code"}
