"""When an image is built, and what it is called."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.tools.image.archives import (
    LIBRARIES,
    MODEL,
    PROGRAM,
    SYSTEM,
    Files,
    Runnable,
    write_archive,
)
from tools.generate_protos import ROOT, ToolError
from tools.image import building, recipe
from tools.image.building import KEPT, Image, have_image
from tools.image.recipe import NAME, Context, Recipe, digest_of


@dataclass
class MemoryBuilder:
    """Builds nothing and remembers what it was asked for."""

    built: list[tuple[str, Recipe]] = field(default_factory=list)
    layers: Sequence[Files] = (SYSTEM, LIBRARIES, MODEL, PROGRAM)

    def has(self, reference: str) -> bool:
        return True

    def build(self, context: Context, recipe: Recipe, reference: str) -> None:
        dockerfile = (context.folder / "services" / "Dockerfile").read_text()
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
            for source in line.split()[:-1]:
                assert (context.folder / source).exists(), source
        self.built.append((reference, recipe))

    def import_root(self, root: Path, reference: str) -> None:
        raise AssertionError("the base is there")

    def save(self, reference: str, archive: Path) -> None:
        write_archive(archive, self.layers)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBuilder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return MemoryBuilder()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, the release 0.1.0, in which nobody knew of an operator."""
    folder = tmp_path / "history"
    for path in ("LICENSE", "README.md", "requirements/runtime.in"):
        _write(folder / path, "of 0.1.0")
    for room in ("", "core/", "chassis/", "embedding/"):
        _write(folder / "services" / "ragmesh" / room / "__init__.py", "")
    for path in ("services/Dockerfile", "tools/image/requirements.py"):
        _write(folder / path, (ROOT / path).read_text(encoding="utf-8"))
    for path in ("requirements/build.txt", "requirements/model.txt", "requirements/runtime.txt"):
        _write(folder / path, "")
    _write(folder / "pyproject.toml", '[project]\nversion = "0.1.0"\n')
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=Release 0.1.0")
    monkeypatch.setattr(recipe, "ROOT", folder)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True)


def test_what_was_built_from_equal_files_is_not_built_again(builder: MemoryBuilder) -> None:
    first, second = (have_image(builder, Recipe()) for _ in range(2))

    assert first == second
    assert [reference for reference, _ in builder.built] == [first.reference]
    assert first.archive.exists()
    assert json.loads(first.sbom.read_text())["bomFormat"] == "CycloneDX"


def test_what_the_dockerfile_copies_is_there_for_a_release_from_before_the_operator_too(
    builder: MemoryBuilder, history: Path
) -> None:
    _git(history, "tag", "v0.1.0")
    _git(history, "commit", "--quiet", "--allow-empty", "--message=Begin 0.2.0")

    assert have_image(builder, Recipe(), "v0.1.0").tag.startswith("0.1.0-")


def test_a_release_is_known_by_its_message_where_tags_were_not_fetched(
    builder: MemoryBuilder, history: Path
) -> None:
    _git(history, "commit", "--quiet", "--allow-empty", "--message=Say what a Release 0.1.0 is")

    assert have_image(builder, Recipe(), "v0.1.0").tag.startswith("0.1.0-")


@pytest.mark.usefixtures("history")
def test_a_release_that_the_clone_does_not_reach_is_told_with_what_to_fetch(
    builder: MemoryBuilder,
) -> None:
    with pytest.raises(ToolError, match=r"back to v0\.0\.9: git fetch --tags"):
        have_image(builder, Recipe(), "v0.0.9")


def test_a_clone_that_lacks_the_beginning_of_the_history_says_so(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not recipe.is_shallow()
    assert recipe.find_commit("v0.1.0") is not None

    _git(history, "commit", "--quiet", "--allow-empty", "--message=Begin 0.2.0")
    shallow = tmp_path / "shallow"
    _git(tmp_path, "clone", "--quiet", "--depth=1", history.as_uri(), str(shallow))
    monkeypatch.setattr(recipe, "ROOT", shallow)

    assert recipe.is_shallow()
    assert recipe.find_commit("v0.1.0") is None


def test_other_arguments_make_another_image_of_another_name(builder: MemoryBuilder) -> None:
    names = {have_image(builder, Recipe(weights=weights)).tag for weights in ("exact", "none")}

    assert len(names) == len(builder.built) == 2


def test_the_base_that_is_made_here_is_named_by_what_it_holds(builder: MemoryBuilder) -> None:
    have_image(builder, Recipe(base=building.DEBIAN))

    ((_, recipe),) = builder.built
    assert recipe.base.startswith("localhost/ragmesh-base:bookworm-")


def test_a_build_that_fails_leaves_no_archive(
    builder: MemoryBuilder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def tear(_builder: MemoryBuilder, _reference: str, archive: Path) -> None:
        archive.write_text("half")
        raise OSError("the disk is full")

    monkeypatch.setattr(MemoryBuilder, "save", tear)
    with pytest.raises(OSError, match="full"):
        have_image(builder, Recipe())

    assert not list(tmp_path.rglob("*.tar"))


def test_an_image_that_holds_a_compiler_is_refused_and_not_kept(
    builder: MemoryBuilder, tmp_path: Path
) -> None:
    builder.layers = (*builder.layers, {"usr/bin/gcc-12": Runnable()})
    with pytest.raises(ToolError, match=r"usr/bin/gcc-12: it compiles"):
        have_image(builder, Recipe())

    assert not list(tmp_path.rglob("*.tar"))
    assert not list(tmp_path.rglob("*.cdx.json"))


def test_archives_that_were_used_last_stay_and_others_go(
    builder: MemoryBuilder, tmp_path: Path
) -> None:
    folder = tmp_path / "ragmesh" / "images"
    folder.mkdir(parents=True)
    for number in range(KEPT):
        for suffix in (".tar", ".cdx.json"):
            path = folder / f"ragmesh-0.1.0-{number}{suffix}"
            path.write_text("old")
            os.utime(path, (number, number))

    image = have_image(builder, Recipe())

    kept = {path.name for path in folder.glob("*.tar")}
    assert kept == {image.archive.name, *(f"ragmesh-0.1.0-{n}.tar" for n in range(1, KEPT))}
    assert not (folder / "ragmesh-0.1.0-0.cdx.json").exists()


def test_a_name_follows_from_bytes_names_and_the_right_to_be_run(tmp_path: Path) -> None:
    file = tmp_path / "run"
    digests = []
    for content, mode in ((b"a", 0o644), (b"b", 0o644), (b"b", 0o755)):
        file.write_bytes(content)
        file.chmod(mode)
        digests.append(digest_of(tmp_path, Recipe()))
    os.utime(file, (1, 1))
    digests.append(digest_of(tmp_path, Recipe()))

    assert len(set(digests)) == 3
    assert digests[2] == digests[3]


def test_an_image_is_called_by_its_version_and_its_digest() -> None:
    image = Image(f"{NAME}:0.2.0-0123456789ab", Path("/kept/ragmesh-0.2.0-0123456789ab.tar"))

    assert image.tag == "0.2.0-0123456789ab"
    assert image.sbom == Path("/kept/ragmesh-0.2.0-0123456789ab.cdx.json")
