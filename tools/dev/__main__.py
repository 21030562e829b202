"""`make dev-up | dev-status | dev-down`: a mesh on real servers, in the background.

    python -m tools.dev up|status|down --folder .data/dev

One process keeps all others: they are its children and never outlive it. It holds the lock of the
folder, and what it started stands in the folder's mesh.json for as long as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tools.dev.mesh import DevMesh, running_mesh
from tools.dev.table import SERVERS
from tools.generate_protos import ROOT, ToolError
from tools.keeping import hold, keeper_of
from tools.mesh_processes import NotReadyError
from tools.processes import await_condition
from tools.servers.server import ServerError
from tools.servers.table import KINDS

UP_SECONDS = 300.0
DOWN_SECONDS = 120.0


def main() -> int:
    """Do as asked; 1 when the mesh is not as it should be then."""
    parser = argparse.ArgumentParser(prog="tools.dev", description="A mesh on real servers.")
    parser.add_argument("action", choices=("up", "status", "down", "keep"))
    parser.add_argument("--folder", type=Path, default=ROOT / ".data" / "dev")
    asked = parser.parse_args()
    folder: Path = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    actions = {"up": up, "status": status, "down": down, "keep": keep}
    return actions[asked.action](folder)


def up(folder: Path) -> int:
    """Start a mesh that goes on when this command has ended."""
    if keeper_of(folder / "lock") is not None:
        print(f"dev: a mesh runs on {folder} already")
        return status(folder)
    try:
        # The first time this takes longer than a start may.
        for name in SERVERS:
            KINDS[name].program.fetch()
    except ToolError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    return launch(folder)


def launch(folder: Path) -> int:
    """Start who keeps the mesh, and return when it runs."""
    state = folder / "mesh.json"
    state.unlink(missing_ok=True)  # of a keeper that was killed
    log = folder / "keeper.log"
    with log.open("w") as said:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tools.dev", "keep", "--folder", folder],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    await_condition(lambda: state.exists() or keeper.poll() is not None, UP_SECONDS)
    if not state.exists():
        keeper.terminate()
        print(f"dev: the mesh did not start:\n{log.read_text()}", file=sys.stderr)
        return 1
    return status(folder)


def keep(folder: Path) -> int:
    """Start a mesh, and stop it when told to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with (
            hold(folder / "lock", f"a mesh runs on {folder} already"),
            running_mesh(folder) as mesh,
            _described(folder, mesh),
        ):
            while True:
                signal.pause()
    except (NotReadyError, ServerError, ToolError, subprocess.CalledProcessError) as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1


def status(folder: Path) -> int:
    """Say who is up, and where."""
    state = folder / "mesh.json"
    if keeper_of(folder / "lock") is None or not state.exists():
        print(f"dev: no mesh runs on {folder}")
        return 1
    told = json.loads(state.read_text())
    words = [*map(_of_server, told["servers"]), *map(_of_process, told["processes"])]
    for name, word, address in words:
        print(f"{name:>14}  {word:<10} {address}")
    return 0 if all(word == "up" for _, word, _ in words) else 1


def down(folder: Path) -> int:
    """Stop what runs, in order; what was stored stays."""
    keeper = keeper_of(folder / "lock")
    if keeper is None:
        print(f"dev: no mesh runs on {folder}")
        return 0
    os.kill(keeper, signal.SIGTERM)
    if not await_condition(lambda: keeper_of(folder / "lock") is None, DOWN_SECONDS):
        print(f"dev: process {keeper} does not end", file=sys.stderr)
        return 1
    print(f"dev: stopped; its data stays in {folder}")
    return 0


def _of_server(told: dict[str, Any]) -> tuple[str, str, str]:
    serves = KINDS[told["name"]].serves(told["host"], told["port"])
    return told["name"], "up" if serves else "away", told["url"]


def _of_process(told: dict[str, Any]) -> tuple[str, str, str]:
    word = "up"
    try:
        urlopen(f"http://{told['probes']}/readyz", timeout=5).close()
    except HTTPError:
        word = "not ready"
    except URLError:
        word = "away"
    return told["name"], word, told["address"]


@contextmanager
def _described(folder: Path, mesh: DevMesh) -> Iterator[None]:
    """What runs stands in the folder for the time of the block."""
    state = folder / "mesh.json"
    told = {
        "servers": [
            {"name": one.name, "host": one.host, "port": one.port, "url": one.url}
            for one in mesh.servers.values()
        ],
        "processes": [
            {"name": one.name, "probes": one.probes, "address": one.address}
            for one in mesh.replicas.replicas.values()
        ],
    }
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps(told, indent=2))
    fresh.rename(state)
    try:
        yield
    finally:
        state.unlink()


if __name__ == "__main__":
    sys.exit(main())
