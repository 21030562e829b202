"""The real program as processes: meshes that are started, killed and spoken to."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
RAGMESH = Path(sys.executable).with_name("ragmesh")
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def environment(**more: str) -> dict[str, str]:
    """The tester's environment without settings of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAGMESH_")}
    return kept | more


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what went wrong; logs may stand before it."""
        return self.err.splitlines()[-1] if self.err else ""


def ragmesh(*arguments: str | Path, **more: str) -> Said:
    """Run a command to its end; nobody is ever shown a traceback."""
    ran = subprocess.run(
        [RAGMESH, *arguments],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Said(ran.returncode, ran.stdout, ran.stderr)


class Mesh:
    """An embedded mesh that runs."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any], log: Path) -> None:
        self.process = process
        self.ready = ready
        self.log = log
        self.rest = httpx.Client(base_url=f"{ready['http']}/api/v1", timeout=60)

    @property
    def http(self) -> str:
        return str(self.ready["http"])

    @property
    def grpc(self) -> str:
        return str(self.ready["grpc"])

    def cli(self, *arguments: str | Path) -> Said:
        """Run a command against this mesh."""
        return ragmesh(*arguments, RAGMESH_SERVER=self.grpc)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def run_command(data_dir: Path, *flags: str) -> list[str | Path]:
    """What starts an embedded mesh on free ports."""
    free = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    return [RAGMESH, "run", "--target=all", "--data-dir", data_dir, *free, "--json", *flags]


@contextmanager
def running(data_dir: Path) -> Iterator[Mesh]:
    """A mesh on this folder; it is killed at the end of the block unless it has stopped."""
    log = data_dir.with_name(f"{data_dir.name}.log")
    with (
        log.open("a") as err,
        subprocess.Popen(
            run_command(data_dir),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        ) as process,
    ):
        try:
            mesh = Mesh(process, _ready(process, log), log)
            with mesh.rest:
                yield mesh
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_SECONDS), f"not ready in time: {log.read_text()}"
    line = process.stdout.readline()
    assert line, log.read_text()
    ready: dict[str, Any] = json.loads(line)
    assert ready["event"] == "ready"
    return ready
