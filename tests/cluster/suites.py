"""A suite of tests as an archive, for an image that has nothing to test itself with."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from tools.generate_protos import ROOT

RUNNERS = (
    *("pytest", "pluggy", "iniconfig", "pytest-asyncio", "pytest-timeout"),
    *("pytest-xdist", "execnet", "hypothesis", "sortedcontainers", "python-docx"),
)
"""What our tests run with, all of it Python alone."""
_FOLDERS = ("tests", "examples", "pyproject.toml")
FOLDER = "/tmp/suite"
LIBRARIES = f"{FOLDER}/libraries"


def pack_suite() -> bytes:
    """The tests, and what they run with."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name in _FOLDERS:
            archive.add(ROOT / name, name, filter=_without_bytecode)
        for path, name in _libraries():
            archive.add(path, f"libraries/{name}")
    return packed.getvalue()


def _libraries() -> Iterator[tuple[Path, str]]:
    for name in RUNNERS:
        for file in distribution(name).files or ():
            path = Path(str(file.locate()))
            if ".." not in file.parts and path.suffix != ".pyc" and path.is_file():
                yield path, file.as_posix()


def _without_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry
