"""What an image is made from, and the name that follows from it.

Equal inputs have equal names, so that nothing is built twice and no two images share a name.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.generate_protos import ROOT, ToolError

OFFICIAL_BASE = "docker.io/library/python:3.11-slim-bookworm"
NAME = "localhost/ragmesh"
_BUILDER = ("services/Dockerfile", "requirements/build.txt", "tools/image/requirements.py")
"""How an image is built is said here, also for a release that said it otherwise or not at all."""
_BUILT = (
    "LICENSE",
    "README.md",
    "operators/ragmesh_operator",
    "pyproject.toml",
    "requirements/model.txt",
    "requirements/runtime.in",
    "requirements/runtime.txt",
    "services/ragmesh",
)
_SINCE_0_2 = frozenset({"operators/ragmesh_operator"})
"""What an older release has not: the folder is empty then."""
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Recipe:
    """The arguments of an image."""

    base: str = OFFICIAL_BASE
    extras: str = "all"
    weights: str = "exact"


@dataclass(frozen=True, slots=True)
class Context:
    """A folder that holds what an image is built from, and nothing else."""

    folder: Path
    version: str
    revision: str
    digest: str

    @property
    def tag(self) -> str:
        """What the image is called: its version, and what tells it from others of that version."""
        return f"{self.version}-{self.digest}"


@contextmanager
def context_of(recipe: Recipe, release: str | None = None) -> Iterator[Context]:
    """The context of this tree, or of a tagged release, for as long as it is being built."""
    with TemporaryDirectory(prefix="ragmesh-image-") as scratch:
        source, revision = ROOT, _git("rev-parse", "HEAD")
        if release is not None:
            source = Path(scratch) / "release"
            revision = take_out(release, source)
        folder = Path(scratch) / "context"
        for path in _BUILT:
            if path in _SINCE_0_2 and not (source / path).exists():
                (folder / path).mkdir(parents=True)
            else:
                _copy(source / path, folder / path)
        for path in _BUILDER:
            _copy(ROOT / path, folder / path)
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        yield Context(
            folder=folder,
            version=project["version"],
            revision=revision,
            digest=digest_of(folder, recipe),
        )


def digest_of(folder: Path, recipe: Recipe) -> str:
    """A digest of every file's name, bytes and right to be run, and of the arguments."""
    digest = hashlib.sha256(repr(recipe).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            runnable = path.stat().st_mode & 0o100
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0{runnable}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGITS]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def find_commit(release: str) -> str | None:
    """The commit of a release: of its tag or, in a clone without tags, of its message."""
    tagged = _said(["git", "rev-parse", "--quiet", "--verify", f"refs/tags/{release}^{{commit}}"])
    if tagged.returncode == 0:
        return tagged.stdout.strip()
    message = f"^Release {re.escape(release.removeprefix('v'))}$"
    return _git("log", "-1", "--format=%H", "--extended-regexp", f"--grep={message}") or None


def is_shallow() -> bool:
    """Whether this clone lacks the beginning of the history."""
    return _git("rev-parse", "--is-shallow-repository") == "true"


def take_out(release: str, folder: Path) -> str:
    """Have the files of a release in a new folder; its commit."""
    commit = _commit_of(release)
    folder.mkdir()
    archive = folder.with_suffix(".tar")
    _git("archive", "--output", str(archive), commit)
    shutil.unpack_archive(archive, folder, filter="data")
    return commit


def _commit_of(release: str) -> str:
    if (commit := find_commit(release)) is None:
        raise ToolError(
            f"this clone does not reach back to {release}: git fetch --tags, and --unshallow if "
            "need be"
        )
    return commit


def _git(*words: str) -> str:
    done = _said(["git", *words])
    if done.returncode != 0:
        raise ToolError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _said(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
