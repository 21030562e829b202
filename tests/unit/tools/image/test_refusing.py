"""What no image of ragmesh may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.tools.image.archives import PROGRAM, SYSTEM, Files, Runnable, write_archive
from tools.generate_protos import ToolError
from tools.image.archive import Archive
from tools.image.refusing import refuse_unwanted

NAME = "localhost/ragmesh:0.2.0-0123456789ab"
_LIBRARY = "usr/local/lib/python3.11"


def refusal(path: Path, *layers: Files) -> str:
    with pytest.raises(ToolError) as told:
        refuse_unwanted(Archive(write_archive(path / "image.tar", layers)), NAME)
    return str(told.value)


@pytest.mark.parametrize(
    "name",
    [
        "usr/bin/gcc",
        "./usr/bin/x86_64-linux-gnu-g++-12",
        "usr/local/bin/clang-15.0",
        "usr/bin/cc",
        "usr/bin/ld.gold",
        "usr/lib/gcc/x86_64-linux-gnu/12/cc1",
    ],
)
def test_what_compiles_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    assert f"{name.removeprefix('./')}: it compiles" in refusal(tmp_path, {name: Runnable()})


@pytest.mark.parametrize(
    "name",
    [
        "opt/ragmesh/bin/pip3.11",
        "usr/bin/apt-get",
        "usr/bin/dpkg",
        "usr/bin/perl5.36.0",
        f"{_LIBRARY}/site-packages/pip/__main__.py",
        f"{_LIBRARY}/ensurepip/__init__.py",
        "usr/share/python-wheels/pip-23.0.1-py3-none-any.whl",
    ],
)
def test_what_installs_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    assert f"{name}: it installs" in refusal(tmp_path, {name: "print()"})


@pytest.mark.parametrize(
    "file",
    [Runnable(mode=0o4755), Runnable(mode=0o2755), Runnable(rights="cap_net_raw=ep")],
    ids=["as its user", "as its group", "with a right of the kernel"],
)
def test_a_file_that_gives_its_rights_to_whoever_runs_it_is_refused(
    file: Runnable, tmp_path: Path
) -> None:
    assert "usr/bin/ping: it gives" in refusal(tmp_path, {"usr/bin/ping": file})


def test_what_a_later_layer_replaces_is_refused_all_the_same(tmp_path: Path) -> None:
    below, above = {"usr/bin/su": Runnable(mode=0o4755)}, {"usr/bin/su": Runnable()}

    assert "usr/bin/su: it gives" in refusal(tmp_path, below, above)


def test_a_refusal_names_the_image_and_does_not_grow_without_end(tmp_path: Path) -> None:
    said = refusal(tmp_path, {f"usr/bin/gcc-{number}": Runnable() for number in range(30)})

    assert said.startswith(NAME)
    assert said.endswith("… and 20 more")


def test_an_image_that_only_runs_is_let_through(tmp_path: Path) -> None:
    plain: Files = {
        "usr/bin/ld.so": Runnable(),
        "usr/bin/python3.11": Runnable(),
        "usr/bin/basename": Runnable(),
        "usr/sbin/ldconfig": Runnable(),
        "usr/share/doc/apt/copyright": "GPL",
        "etc/ssl/certs/cc450945.0": "certificate",
        "opt/ragmesh/bin/ragmesh": Runnable(),
    }

    refuse_unwanted(Archive(write_archive(tmp_path / "image.tar", (SYSTEM, plain, PROGRAM))), NAME)
