"""Generates services/ragmesh/api from protos/, the same bytes every time.

    python tools/generate_protos.py           writes the code
    python tools/generate_protos.py --check   lints the contracts, compares them with the last
                                              release, and says which files are stale
    python tools/generate_protos.py --release keeps them as those of the version of pyproject.toml

buf builds the sources, and protoc (inside grpcio-tools) only runs the generators: buf's own way
needs plugins from a registry for Python services. Nothing is asked from a module registry.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parent.parent
BUF_PACKAGE = ROOT / "tools" / "buf"
GOOGLEAPIS = ROOT / "third_party" / "googleapis"
SERVICES = ROOT / "services"
RELEASED = ROOT / "protos" / "released"
"""The contracts of every release, as images: what later ones may add to and never break."""
OURS = PurePosixPath("ragmesh/api")
SHARED = ("google/rpc/status.proto", "google/rpc/error_details.proto")
"""Files of the googleapis-common-protos wheel: what the contracts import, and what errors carry."""
INIT = '"""Generated from protos/{folder} by tools/generate_protos.py."""\n'


class ToolError(Exception):
    """A step could not be done; the message says what to do."""


def buf() -> Path:
    """The pinned buf, installed once for each lock file."""
    program = BUF_PACKAGE / "node_modules" / ".bin" / "buf"
    stamp = BUF_PACKAGE / "node_modules" / ".installed-lock"
    lock = (BUF_PACKAGE / "package-lock.json").read_bytes()
    if program.exists() and stamp.exists() and stamp.read_bytes() == lock:
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise ToolError("npm is not installed: buf comes from it (Debian: apt install npm)")
    run([npm, "ci", "--loglevel=error"], folder=BUF_PACKAGE)
    stamp.write_bytes(lock)
    return program


def run(
    command: Sequence[str | Path],
    *,
    folder: Path = ROOT,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Runs a tool; what it says goes straight to the terminal."""
    if subprocess.run(command, cwd=folder, env=environ, check=False).returncode != 0:
        raise ToolError(f"{Path(command[0]).name} failed: its message is above")


def copy_googleapis() -> None:
    """Lays the shared protos where buf finds them: a module of its own, git-ignored."""
    wheel = metadata.distribution("googleapis-common-protos")
    for name in SHARED:
        source = Path(str(wheel.locate_file(name)))
        if not source.exists():
            raise ToolError(f"googleapis-common-protos has no {name}: run make setup")
        target = GOOGLEAPIS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


def lint() -> None:
    """Refuses contracts that are not formatted, or break a rule of buf.yaml."""
    run([buf(), "format", "protos", "--diff", "--exit-code"])
    run([buf(), "lint", "protos"])


def last_release(folder: Path) -> Path | None:
    """The image of the highest version; None before the first release."""
    images = folder.glob("*.binpb")
    return max(images, key=lambda image: version(image.stem), default=None)


def version(text: str) -> tuple[int, ...]:
    """A release's number, in the order of releases; ToolError for anything that is none."""
    if re.fullmatch(r"\d+\.\d+\.\d+", text) is None:
        raise ToolError(f"{text} is no release: only MAJOR.MINOR.PATCH is")
    return tuple(int(part) for part in text.split("."))


def project_version() -> str:
    """What pyproject.toml says."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        number: str = tomllib.load(file)["project"]["version"]
    return number


def refuse_broken() -> None:
    """Refuses contracts that clients of the last release would not understand."""
    released = last_release(RELEASED)
    if released is not None:
        run([buf(), "breaking", "protos", "--against", released])


def release() -> None:
    """Keeps today's contracts as those of the project's version; a release is kept only once."""
    number = project_version()
    version(number)
    image = RELEASED / f"{number}.binpb"
    if image.exists():
        raise ToolError(f"{number} is released already: give the project its next version first")
    lint()
    refuse_broken()
    image.parent.mkdir(exist_ok=True)
    run([buf(), "build", "protos", "--exclude-source-info", "-o", image])


def generated() -> dict[PurePosixPath, bytes]:
    """What protos/ generates: every file below ragmesh/api."""
    with tempfile.TemporaryDirectory() as folder:
        image, services = Path(folder, "image.binpb"), Path(folder, "services")
        run([buf(), "build", "protos", "-o", image])
        files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file
        ours = [file for file in files if PurePosixPath(file.name).is_relative_to(OURS)]
        run_protoc(image, [file.name for file in ours], services)
        for file in ours:
            if not file.service:
                remove_empty_services(services / file.name)
        add_packages(services, [file.name for file in ours])
        return contents(services / OURS)


def write(fresh: dict[PurePosixPath, bytes], folder: Path) -> None:
    """Makes a folder hold just what was generated; touches only what differs."""
    committed = contents(folder)
    for name in committed.keys() - fresh.keys():
        (folder / name).unlink()
    for name, content in fresh.items():
        if committed.get(name) != content:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def run_protoc(image: Path, names: list[str], services: Path) -> None:
    """Runs the four generators over the built image."""
    services.mkdir()
    outputs = (
        f"--python_out={services}",
        f"--grpc_python_out={services}",
        f"--mypy_out=quiet:{services}",
        f"--mypy_grpc_out=quiet:{services}",
    )
    # The generators of types are console scripts beside this interpreter.
    beside = Path(sys.executable).parent
    plugins = [f"--plugin={beside / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    run([*protoc, f"--descriptor_set_in={image}", *plugins, *outputs, *sorted(names)])


def remove_empty_services(source: Path) -> None:
    """Removes the service modules that are written even for a file without services."""
    for suffix in ("_pb2_grpc.py", "_pb2_grpc.pyi"):
        source.with_name(source.stem + suffix).unlink(missing_ok=True)


def add_packages(services: Path, names: list[str]) -> None:
    """Makes every folder a package, so that import contracts see it."""
    folders = {parent for name in names for parent in PurePosixPath(name).parents}
    for folder in sorted(folders):
        if folder.is_relative_to(OURS):
            (services / folder / "__init__.py").write_text(INIT.format(folder=folder))


def contents(folder: Path) -> dict[PurePosixPath, bytes]:
    """Every file below a folder, bytecode left out."""
    return {
        PurePosixPath(path.relative_to(folder).as_posix()): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def refuse_stale(fresh: dict[PurePosixPath, bytes], folder: Path) -> None:
    """Refuses a folder that holds anything else than what was generated."""
    committed = contents(folder)
    names = sorted(fresh.keys() | committed.keys())
    stale = [str(OURS / name) for name in names if fresh.get(name) != committed.get(name)]
    if stale:
        raise ToolError("not what protos/ generates (run make generate): " + ", ".join(stale))


def main() -> int:
    """Generates, or checks; the exit code says whether all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--check", action="store_true", help="lint and compare; write nothing")
    ways.add_argument("--release", action="store_true", help="keep them as the next release's")
    arguments = parser.parse_args()
    try:
        copy_googleapis()
        if arguments.check:
            lint()
            refuse_broken()
            refuse_stale(generated(), SERVICES / OURS)
        elif arguments.release:
            release()
        else:
            write(generated(), SERVICES / OURS)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
