"""How programs that others have written are had: from package registries alone, once.

`make tools` runs it. What is compiled or downloaded is kept in ~/.cache/ragmesh/tools, in a folder
named after the digest of the files that pin it: a changed pin makes a new one, beside the old.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ragmesh.chassis.settings.folders import cache_folder
from tools.example_clients import find_go
from tools.generate_protos import ROOT, ToolError, run

_PINS = ROOT / "tools" / "programs"


class Program(Protocol):
    """Something that can be run."""

    def fetch(self) -> Path:
        """Have it, unless it is here already; where it lies."""
        ...


@dataclass(frozen=True, slots=True)
class GoProgram:
    """Compiled from a module of tools/programs/go, whose go.sum pins every line of it."""

    module: str
    package: str
    """What is compiled: a tool that the module names, or "." for the module's own program."""
    called: str = ""
    """Its name, where a module has several."""
    stamps: tuple[str, ...] = ()
    """Variables that its makers set at link time, as `-X` takes them."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.called or self.module

    def fetch(self) -> Path:
        """Compile it; the program."""
        source = _PINS / "go" / self.module
        return made_once(self.name, source, lambda made: self._build(source, made)) / self.name

    def module_folder(self, module: str) -> Path:
        """Where the files of a module lie that it is compiled from, whose digest go.sum pins."""
        words = (find_go(), "mod", "download", "-json", module)
        source = _PINS / "go" / self.module
        done = subprocess.run(
            words, cwd=source, env=_go_environ(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ToolError(f"{module} cannot be had: {done.stderr.strip()}")
        return Path(json.loads(done.stdout)["Dir"])

    def _build(self, source: Path, made: Path) -> None:
        linked = " ".join(("-s", "-w", *(f"-X {stamp}" for stamp in self.stamps)))
        output = ("-o", made / self.name)
        words: list[str | Path] = [find_go(), "build", "-trimpath", f"-ldflags={linked}"]
        run([*words, *output, self.package], folder=source, environ=_go_environ())


@dataclass(frozen=True, slots=True)
class JavaProgram:
    """Jars from a pom of tools/programs/maven, each with the digest that is written beside it."""

    name: str

    def fetch(self) -> Path:
        """Download the jars; their folder."""
        source = _PINS / "maven" / self.name
        return made_once(self.name, source, lambda made: self._download(source, made))

    def _download(self, source: Path, made: Path) -> None:
        DebianProgram("java", "default-jre-headless").fetch()
        maven = DebianProgram("mvn", "maven").fetch()
        pom = source / "pom.xml"
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={made}")
        run([maven, "-q", "-B", "-f", pom, *goal], folder=made)
        run(["sha256sum", "--quiet", "--check", source / "jars.sha256"], folder=made)


@dataclass(frozen=True, slots=True)
class DebianProgram:
    """A program of a Debian package, which root may have installed."""

    name: str
    package: str
    folder: str = ""
    """Where it lies when not on the path."""

    def fetch(self) -> Path:
        """Install the package if the program is missing; the program."""
        if (found := self._find()) is not None:
            return found
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise ToolError(f"{self.name} is not installed (Debian: apt install {self.package})")
        # apt refuses a second one beside it: several of us wait for each other.
        with locked(_kept() / "debian.lock"):
            if self._find() is None:
                self._install()
        if (found := self._find()) is None:
            raise ToolError(f"the package {self.package} has no {self.name}")
        return found

    def _install(self) -> None:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", self.package]
        try:
            run(install, environ=quiet)
        except ToolError:  # the lists of what there is are missing or old, and take longest
            run(["apt-get", "update", "-qq"], environ=quiet)
            run(install, environ=quiet)

    def _find(self) -> Path | None:
        path = os.pathsep.join((self.folder, os.environ["PATH"], "/usr/sbin"))
        found = shutil.which(self.name, path=path)
        return None if found is None else Path(found)


def _go_environ() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(find_go().parent), os.environ["PATH"])),
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }


def link_go_programs(programs: Iterable[Program]) -> Path:
    """Links to those that are compiled, under their plain names in a folder for one's PATH."""
    folder = cache_folder() / "tools" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        if isinstance(program, GoProgram):
            fresh = folder / f".{program.name}-{os.getpid()}"
            fresh.symlink_to(program.fetch())
            fresh.rename(folder / program.name)
    return folder


def made_once(name: str, source: Path, make: Make) -> Path:
    """The folder that `make` fills from `source`: whole, or not there; by one process at a time."""
    folder = _kept() / f"{name}-{_digest(source)}"
    if folder.exists():
        return folder
    with locked(_kept() / f"{name}.lock"):
        if not folder.exists():
            print(f"tools: making {name}, once", flush=True)
            with tempfile.TemporaryDirectory(dir=_kept()) as scratch:
                made = Path(scratch) / name
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


class Make(Protocol):
    """Fills a folder."""

    def __call__(self, made: Path, /) -> None:
        """Fill it."""


def _kept() -> Path:
    """The folder of all that was made."""
    folder = cache_folder() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold what the file stands for, against other processes."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
