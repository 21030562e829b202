"""Who builds an image: buildah, which needs no daemon, or docker.

What a builder has to know of the place it works at is not written down anywhere: pip's settings and
the authorities it believes are read from the environment and handed in as secrets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from tools.generate_protos import ToolError
from tools.image.recipe import Context, Recipe
from tools.programs.table import BUILDAH

_PIP_SETTINGS = ("index_url", "extra_index_url", "trusted_host", "timeout", "retries")
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE")


class Builder(Protocol):
    """Makes images, and keeps layers between them."""

    def has(self, reference: str) -> bool:
        """Whether it keeps an image of this name."""
        ...

    def build(self, context: Context, recipe: Recipe, reference: str) -> None:
        """Make the image."""
        ...

    def import_root(self, root: Path, reference: str) -> None:
        """Make an image of one layer: the folder."""
        ...

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as an archive that docker, containerd and podman load under its name."""
        ...


@dataclass(frozen=True, slots=True)
class Buildah:
    """Builds in a chroot, so that it needs neither a daemon nor namespaces of its own."""

    program: Path

    def has(self, reference: str) -> bool:
        """Whether it keeps an image of this name."""
        return _run([self.program, "inspect", "--type", "image", reference], quiet=True)

    def build(self, context: Context, recipe: Recipe, reference: str) -> None:
        """Make the image; files are as old as the epoch, so that equal layers are equal bytes."""
        with _secrets(os.environ) as secrets:
            self._do("bud", "--layers", "--timestamp=0", "--isolation=chroot", *secrets,
                     *_words(context, recipe, reference))  # fmt: skip

    def import_root(self, root: Path, reference: str) -> None:
        """Make an image of one layer: the folder."""
        file = root.parent / "Dockerfile"
        file.write_text(f"FROM scratch\nCOPY {root.name} /\nENV PATH=/usr/bin:/bin\n")
        self._do("bud", "--timestamp=0", "-q", "-t", reference, "-f", str(file), str(root.parent))

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as an archive."""
        self._do("push", "-q", reference, f"docker-archive:{archive}:{reference}")

    def _do(self, *words: str) -> None:
        if not _run([self.program, *words]):
            raise ToolError(f"buildah {words[0]} failed: its message is above")


@dataclass(frozen=True, slots=True)
class Docker:
    """Builds with BuildKit, in docker's daemon."""

    program: Path

    def has(self, reference: str) -> bool:
        """Whether it keeps an image of this name."""
        return _run([self.program, "image", "inspect", reference], quiet=True)

    def build(self, context: Context, recipe: Recipe, reference: str) -> None:
        """Make the image."""
        with _secrets(os.environ) as secrets:
            self._do("build", "--build-arg=SOURCE_DATE_EPOCH=0", *secrets,
                     *_words(context, recipe, reference))  # fmt: skip

    def import_root(self, root: Path, reference: str) -> None:
        """Make an image of one layer: the folder."""
        archive = Path(shutil.make_archive(str(root), "tar", root))
        self._do("import", "--change=ENV PATH=/usr/bin:/bin", str(archive), reference)

    def save(self, reference: str, archive: Path) -> None:
        """Write the image as an archive."""
        self._do("save", "--output", str(archive), reference)

    def _do(self, *words: str) -> None:
        if not _run([self.program, *words]):
            raise ToolError(f"docker {words[0]} failed: its message is above")


def find_builder(name: str) -> Builder:
    """The builder of that name; buildah is installed where Debian and root can."""
    if name == "docker":
        found = shutil.which("docker")
        if found is None:
            raise ToolError("docker is not installed; buildah builds without it (BUILDER=buildah)")
        return Docker(Path(found))
    return Buildah(BUILDAH.fetch())


def _words(context: Context, recipe: Recipe, reference: str) -> list[str]:
    arguments = {
        "BASE_IMAGE": recipe.base,
        "EXTRAS": recipe.extras,
        "WEIGHTS": recipe.weights,
        "VERSION": context.version,
        "REVISION": context.revision,
    }
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    dockerfile = context.folder / "services" / "Dockerfile"
    return [*given, "-t", reference, "-f", str(dockerfile), str(context.folder)]


@contextmanager
def _secrets(environ: Mapping[str, str]) -> Iterator[Sequence[str]]:
    """The builder's options that hand in how pip reaches an index from here."""
    with TemporaryDirectory(prefix="ragmesh-pip-") as scratch:
        lines, words = ["[global]"], []
        for setting in _PIP_SETTINGS:
            if value := environ.get(f"PIP_{setting.upper()}"):
                lines.append(f"{setting.replace('_', '-')} = {value}")
        if authorities := next(filter(None, map(environ.get, _AUTHORITIES)), None):
            lines.append("cert = /run/secrets/certificates")
            words.append(f"--secret=id=certificates,src={authorities}")
        pip = Path(scratch) / "pip.conf"
        pip.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield [f"--secret=id=pip,src={pip}", *words]


def _run(command: Sequence[str | Path], *, quiet: bool = False) -> bool:
    environ = {**os.environ, "BUILDAH_ISOLATION": "chroot", "DOCKER_BUILDKIT": "1"}
    heard = subprocess.DEVNULL if quiet else None
    done = subprocess.run(command, check=False, env=environ, stdout=heard, stderr=heard)
    return done.returncode == 0
