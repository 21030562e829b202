"""The real program as processes: meshes that are started, killed and spoken to."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tools.mesh_processes import MeshProcesses, NotReadyError
from tools.split import Ports

ROOT = Path(__file__).resolve().parent.parent.parent
RAGMESH = Path(sys.executable).with_name("ragmesh")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
Found = TypeVar("Found")


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
    """A mesh that runs, in one process or in one a target; nobody can tell the difference."""

    visible_seconds = 0.0
    """How long after a job has SUCCEEDED its document may still be missing from a search."""

    def __init__(self, data_dir: Path, ready: dict[str, Any]) -> None:
        self.data_dir = data_dir
        self.ready = ready
        self.has_handbook = False
        self.rest = httpx.Client(base_url=f"{ready['http']}/api/v1", timeout=60)

    @property
    def http(self) -> str:
        return str(self.ready["http"])

    @property
    def grpc(self) -> str:
        return str(self.ready["grpc"])

    @property
    def pids(self) -> list[int]:
        """The processes that it is made of."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """What all of them logged."""
        raise NotImplementedError

    def cli(self, *arguments: str | Path) -> Said:
        """Run a command against this mesh."""
        return ragmesh(*arguments, RAGMESH_SERVER=self.grpc)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to every process; the worst of their exit codes."""
        raise NotImplementedError

    def shown(self, look: Callable[[], Found], expected: Found) -> Found:
        """What is seen once it is as expected, or when it should have been so for long."""
        late = time.monotonic() + self.visible_seconds
        while (found := look()) != expected and time.monotonic() < late:
            pass
        return found


class EmbeddedMesh(Mesh):
    """The target `all`."""

    def __init__(
        self, data_dir: Path, ready: dict[str, Any], process: subprocess.Popen[str], log: Path
    ) -> None:
        super().__init__(data_dir, ready)
        self._process = process
        self._log = log

    @property
    def pids(self) -> list[int]:
        return [self._process.pid]

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self._process.wait(STOP_SECONDS)


class SeparateMesh(Mesh):
    """One process a target."""

    visible_seconds = 1.0

    def __init__(self, split: MeshProcesses, logs: Path) -> None:
        super().__init__(split.data_dir, split.ready["gateway"])
        self.split = split
        self._logs = logs

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.split.processes.values()]

    @property
    def log(self) -> str:
        return "".join(
            f"--- {path.stem}\n{path.read_text()}" for path in sorted(self._logs.iterdir())
        )

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        return max(map(abs, self.split.stop(number).values()))


def run_command(data_dir: Path, *flags: str) -> list[str | Path]:
    """What starts an embedded mesh on free ports."""
    free = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    return [RAGMESH, "run", "--target=all", "--data-dir", data_dir, *free, "--json", *flags]


@contextmanager
def running(data_dir: Path, **more: str) -> Iterator[EmbeddedMesh]:
    """A mesh on this folder; it is killed at the end of the block unless it has stopped."""
    log = data_dir.with_name(f"{data_dir.name}.log")
    with (
        log.open("a") as err,
        subprocess.Popen(
            run_command(data_dir),
            cwd=ROOT,
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        ) as process,
    ):
        try:
            mesh = EmbeddedMesh(data_dir, _ready(process, log), process, log)
            with mesh.rest:
                yield mesh
        finally:
            process.kill()


@contextmanager
def running_split(
    data_dir: Path, ports: Ports | None = None, **more: str
) -> Iterator[SeparateMesh]:
    """The same as one process a target, by default on free ports."""
    logs = data_dir.with_name(f"{data_dir.name}.logs")
    logs.mkdir(exist_ok=True)
    split = MeshProcesses(
        data_dir,
        lambda target: (logs / f"{target}.log").open("a"),
        ports or Ports.free(),
        environment(**more),
    )
    try:
        split.start()
        mesh = SeparateMesh(split, logs)
        with mesh.rest:
            yield mesh
    except NotReadyError as error:
        raise AssertionError("".join(path.read_text() for path in logs.iterdir())) from error
    finally:
        split.close()


SHAPES: dict[str, Callable[..., AbstractContextManager[Mesh]]] = {
    "all": running,
    "split": running_split,
}
"""How a mesh may run; ids of tests say which."""


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
