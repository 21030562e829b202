"""An image is built once: equal inputs find the archive that is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ragmesh.chassis.settings.folders import cache_folder
from tools.image.archive import Archive
from tools.image.base import have_debian_base
from tools.image.builders import Builder
from tools.image.recipe import NAME, Recipe, context_of
from tools.image.refusing import refuse_unwanted
from tools.image.sbom import write_sbom
from tools.programs.fetching import locked

DEBIAN = "debian"
"""The base that is made here, instead of the name of one that is pulled."""
KEPT = 6
"""Archives that stay, those used last; more would fill the disk of who builds all day."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is there."""

    reference: str
    archive: Path
    """What docker, containerd and podman load it from, under its name."""

    @property
    def tag(self) -> str:
        """What tells it from other images of the name."""
        return self.reference.rpartition(":")[2]

    @property
    def sbom(self) -> Path:
        """What it is made of, in CycloneDX."""
        return self.archive.with_suffix(".cdx.json")


def have_image(builder: Builder, recipe: Recipe, release: str | None = None) -> Image:
    """The image of this tree, or of a release; built unless its archive is there."""
    with locked(_kept() / ".lock"):
        if recipe.base == DEBIAN:
            recipe = replace(recipe, base=have_debian_base(builder))
        with context_of(recipe, release) as context:
            reference = f"{NAME}:{context.tag}"
            image = Image(reference, _kept() / f"ragmesh-{context.tag}.tar")
            if image.archive.exists():
                image.archive.touch()
                return image
            builder.build(context, recipe, reference)
        with _whole(image.archive) as archive:
            builder.save(reference, archive)
            refuse_unwanted(Archive(archive), reference)
            image.sbom.write_text(write_sbom(Archive(archive), reference), encoding="utf-8")
        _forget_oldest()
        return image


def _kept() -> Path:
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _whole(archive: Path) -> Iterator[Path]:
    """Where to write an archive, which has its name only once it is whole."""
    with TemporaryDirectory(dir=archive.parent) as scratch:
        yield (written := Path(scratch) / archive.name)
        written.rename(archive)


def _forget_oldest() -> None:
    archives = sorted(_kept().glob("*.tar"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-KEPT]:
        archive.unlink()
        archive.with_suffix(".cdx.json").unlink(missing_ok=True)
