"""When an image is built, and what it is called."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.tools.image.archives import write_archive
from tools.image import building
from tools.image.building import KEPT, Image, have_image
from tools.image.recipe import NAME, Context, Recipe, digest_of


@dataclass
class MemoryBuilder:
    """Builds nothing and remembers what it was asked for."""

    built: list[tuple[str, Recipe]] = field(default_factory=list)

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
        write_archive(archive)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBuilder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return MemoryBuilder()


def test_what_was_built_from_equal_files_is_not_built_again(builder: MemoryBuilder) -> None:
    first, second = (have_image(builder, Recipe()) for _ in range(2))

    assert first == second
    assert [reference for reference, _ in builder.built] == [first.reference]
    assert first.archive.exists()
    assert json.loads(first.sbom.read_text())["bomFormat"] == "CycloneDX"


def test_what_the_dockerfile_copies_is_there_for_a_release_from_before_the_operator_too(
    builder: MemoryBuilder,
) -> None:
    assert have_image(builder, Recipe(), "v0.1.0").tag.startswith("0.1.0-")


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
