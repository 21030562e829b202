"""The mesh as one process a target, on one data directory: an arrangement that proves the seams.

Run by `make split-up`; the end-to-end tests start the same processes on free ports. The logs of
all go to stderr, each line under the name of its target. One line on stdout says when all six
serve. Ctrl-C, or the end of any of them, ends all.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tools.free_ports import LOOPBACK, free_ports

ROOT = Path(__file__).resolve().parent.parent
RAGMESH = Path(sys.executable).with_name("ragmesh")
TARGETS = ("cache", "embedding", "generation", "retrieval", "indexing", "gateway")
"""With SQLite, indexing runs the indexer, too. Stopped from the last to the first, so that
nobody is stopped before those who call it."""
START_SECONDS = 90.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen; they have to know each other's before they start."""

    http: int
    grpc: int
    internal_grpc: Mapping[str, int]
    internal_http: Mapping[str, int]

    @classmethod
    def usual(cls) -> Ports:
        """Those of the defaults; probes and metrics count up from 9090."""
        internal = {"embedding": 50061, "retrieval": 50062, "generation": 50063, "cache": 50064}
        probes = {name: 9090 + place for place, name in enumerate(reversed(TARGETS))}
        return cls(8080, 50051, {**internal, "indexing": 50065}, probes)

    @classmethod
    def free(cls) -> Ports:
        """Some that nobody uses now."""
        found = free_ports()
        internal = {name: next(found) for name in TARGETS if name != "gateway"}
        probes = {name: next(found) for name in TARGETS}
        return cls(next(found), next(found), internal, probes)

    def command(self, target: str, data_dir: Path) -> list[str]:
        """What starts the target."""
        command = [str(RAGMESH), "run", f"--target={target}", "--data-dir", str(data_dir), "--json"]
        command += ["--internal-http", f"{LOOPBACK}:{self.internal_http[target]}"]
        if target == "gateway":
            return [*command, "--http", f"{LOOPBACK}:{self.http}", "--grpc", self.public_grpc]
        return [*command, "--internal-grpc", f"{LOOPBACK}:{self.internal_grpc[target]}"]

    @property
    def public_grpc(self) -> str:
        """Where clients reach the mesh."""
        return f"{LOOPBACK}:{self.grpc}"

    def variables(self) -> dict[str, str]:
        """What tells every process where the others are, and that nobody has a second replica."""
        peers = {
            f"RAGMESH_PEERS__{name.upper()}": f"{LOOPBACK}:{port}"
            for name, port in self.internal_grpc.items()
        }
        return {**peers, "RAGMESH_INTERNAL__DRAIN_SECONDS": "0"}


class NotReadyError(Exception):
    """A process ended, or took too long, before it said that it serves."""


@dataclass(slots=True)
class SplitMesh:
    """Six processes; each can be ended and started again by its name."""

    data_dir: Path
    open_log: Callable[[str], IO[str] | int]
    """Where the logs of a target go, as `subprocess` takes it."""
    ports: Ports = field(default_factory=Ports.free)
    environ: Mapping[str, str] = field(default_factory=dict)
    certs: Path | None = None
    """Folder of `ragmesh certs dev`, with which the processes prove their names to each other."""
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each said when it served."""

    def start(self, *targets: str) -> None:
        """Start these targets, by default all, at the same time; return when each reaches those
        that it calls."""
        for target in targets or TARGETS:
            self.launch(target)
        for target in targets or TARGETS:
            self.await_ready(target)
        self.await_peers()

    def launch(self, target: str) -> None:
        """Start one target, and do not wait for it."""
        log = self.open_log(target)
        self._forget(target)
        self.processes[target] = subprocess.Popen(
            self.ports.command(target, self.data_dir),
            cwd=ROOT,
            env={**self.environ, **self.ports.variables(), **self._certificates(target)},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,  # Ctrl-C at a terminal is for us, who end them in order
        )
        if not isinstance(log, int):
            log.close()

    def _certificates(self, target: str) -> dict[str, str]:
        if self.certs is None:
            return {}
        return {
            "RAGMESH_TLS__CERTIFICATE_FILE": str(self.certs / f"{target}.pem"),
            "RAGMESH_TLS__KEY_FILE": str(self.certs / f"{target}.key"),
            "RAGMESH_TLS__CA_FILE": str(self.certs / "ca.pem"),
        }

    def await_ready(self, target: str, seconds: float | None = START_SECONDS) -> float:
        """Return when the target serves; the moment at which it said so."""
        process = self.processes[target]
        assert process.stdout is not None  # noqa: S101 - what PIPE means
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(seconds) else ""
        if not line:
            raise NotReadyError(f"{target} does not serve: {process.poll()}")
        self.ready[target] = json.loads(line)
        return time.monotonic()

    def await_peers(self) -> None:
        """Return when every process has reached those that it calls: they start in any order."""
        for target in TARGETS:
            late = time.monotonic() + START_SECONDS
            while missing := self._missing(target):
                if time.monotonic() > late:
                    raise NotReadyError(f"{target} does not reach {', '.join(missing)}")
                time.sleep(0.05)

    def _missing(self, target: str) -> list[str]:
        try:
            url = f"{self.ready[target]['internal_http']}/readyz"
            with urlopen(url, timeout=5) as reply:  # noqa: S310 - an address of our own process
                told = json.load(reply)
        except HTTPError as error:
            told = json.load(error)
        return [name for name, word in told["dependencies"].items() if word != "up"]

    def send(self, target: str, number: signal.Signals) -> int:
        """Send a signal that ends the target; its exit code."""
        process = self.processes[target]
        process.send_signal(number)
        return process.wait(STOP_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """End every target, those that are called last; their exit codes."""
        return {name: self.send(name, number) for name in reversed(TARGETS)}

    def close(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for target in TARGETS:
            self._forget(target)

    def _forget(self, target: str) -> None:
        """Read no more of what a process said that has ended; until then somebody may."""
        process = self.processes.pop(target, None)
        if process is not None and process.stdout is not None:
            process.stdout.close()


@contextmanager
def _mesh(data_dir: Path, ports: Ports) -> Iterator[SplitMesh]:
    environ = {"RAGMESH_LOG__FORM": "human", **os.environ}
    mesh = SplitMesh(data_dir, lambda _: subprocess.PIPE, ports, environ)
    try:
        yield mesh
    finally:
        mesh.close()


def _show(target: str, lines: IO[str]) -> None:
    for line in lines:
        print(f"{target:>10} | {line}", end="", file=sys.stderr, flush=True)


def main() -> int:
    """Run the six processes until Ctrl-C; 1 when one of them ended by itself."""
    parser = argparse.ArgumentParser(description="Run one process a target.")
    parser.add_argument("--data-dir", type=Path, default=Path(".data"))
    parser.add_argument("--free-ports", action="store_true", help="not the usual ones")
    asked_for = parser.parse_args()
    ports = Ports.free() if asked_for.free_ports else Ports.usual()
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    with _mesh(asked_for.data_dir, ports) as mesh:
        for target in TARGETS:
            mesh.launch(target)
            stderr = mesh.processes[target].stderr
            threading.Thread(target=_show, args=(target, stderr), daemon=True).start()
        waiting = threading.Thread(target=_announce, args=(mesh, asked), daemon=True)
        waiting.start()
        ended = _first_to_end(mesh, asked)
        codes = mesh.stop()
        waiting.join()
    if ended:
        print(f"split: {ended} ended with {codes[ended]}, so did the others", file=sys.stderr)
    # One that was asked to end before it could listen to signals dies of the signal.
    return 1 if ended or set(codes.values()) - {0, -signal.SIGTERM} else 0


def _announce(mesh: SplitMesh, asked: threading.Event) -> None:
    """Say once that all serve, or who does not get so far without having been asked to end."""
    try:
        for target in TARGETS:
            mesh.await_ready(target, seconds=None)
        mesh.await_peers()
    except (NotReadyError, OSError) as error:  # the latter of one that ends while it is asked
        if not asked.is_set():
            print(f"split: {error}", file=sys.stderr)
        return
    ready = mesh.ready["gateway"]
    print(
        f"The mesh is ready, {len(TARGETS)} processes: REST and its page {ready['http']}/docs, "
        f"gRPC {ready['grpc']}. Ctrl-C stops it.",
        flush=True,
    )


def _first_to_end(mesh: SplitMesh, asked: threading.Event) -> str | None:
    """The target that ended by itself; None when a person asked all of them to."""
    while not asked.wait(0.2):
        for target, process in mesh.processes.items():
            if process.poll() is not None:
                return target
    return None


if __name__ == "__main__":
    sys.exit(main())
