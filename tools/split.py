"""The mesh as one process a target, on one data directory: an arrangement that proves the seams.

Run by `make split-up`; the end-to-end tests start the same processes on free ports. The logs of
all go to stderr, each line under the name of its target. One line on stdout says when all six
serve. Ctrl-C, or the end of any of them, ends all.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.free_ports import LOOPBACK, free_ports
from tools.mesh_processes import RAGMESH, MeshProcesses, NotReadyError

TARGETS = ("cache", "embedding", "generation", "retrieval", "indexing", "gateway")
"""With SQLite, indexing runs the indexer, too. Stopped from the last to the first, so that
nobody is stopped before those who call it."""


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

    @property
    def names(self) -> Sequence[str]:
        """One process a target."""
        return TARGETS

    def target(self, name: str) -> str:
        """What a process runs."""
        return name

    def command(self, name: str, data_dir: Path) -> list[str]:
        """What starts the target."""
        command = [str(RAGMESH), "run", f"--target={name}", "--data-dir", str(data_dir), "--json"]
        command += ["--internal-http", f"{LOOPBACK}:{self.internal_http[name]}"]
        if name == "gateway":
            return [*command, "--http", f"{LOOPBACK}:{self.http}", "--grpc", self.public_grpc]
        return [*command, "--internal-grpc", f"{LOOPBACK}:{self.internal_grpc[name]}"]

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


@contextmanager
def _mesh(data_dir: Path, ports: Ports) -> Iterator[MeshProcesses]:
    environ = {"RAGMESH_LOG__FORM": "human", **os.environ}
    mesh = MeshProcesses(data_dir, lambda _: subprocess.PIPE, ports, environ)
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


def _announce(mesh: MeshProcesses, asked: threading.Event) -> None:
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


def _first_to_end(mesh: MeshProcesses, asked: threading.Event) -> str | None:
    """The target that ended by itself; None when a person asked all of them to."""
    while not asked.wait(0.2):
        for target, process in mesh.processes.items():
            if process.poll() is not None:
                return target
    return None


if __name__ == "__main__":
    sys.exit(main())
