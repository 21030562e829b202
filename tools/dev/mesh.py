"""A mesh on real servers: all of it in one folder, started in order and stopped in reverse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.dev.replicas import Replicas
from tools.dev.table import PREPARATION, REPLICAS, SERVERS
from tools.generate_protos import ROOT
from tools.mesh_processes import RAGMESH, MeshProcesses
from tools.servers.server import Server


@dataclass(frozen=True, slots=True)
class DevMesh:
    """Servers and processes that run."""

    servers: Mapping[str, Server]
    replicas: Replicas
    processes: MeshProcesses


@contextmanager
def running_mesh(
    folder: Path, *, counts: Mapping[str, int] = REPLICAS, settings: Mapping[str, str] | None = None
) -> Iterator[DevMesh]:
    """Servers, and processes on them, for the time of the block; what they stored stays."""
    with ExitStack() as stack:
        servers = {name: Server(name, folder / "servers" / name) for name in SERVERS}
        for server in servers.values():
            stack.callback(server.close)
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.start, servers.values()))
        stack.callback(_stop, servers.values())
        told = {name: word for server in servers.values() for name, word in server.settings.items()}
        replicas = Replicas.on_free_ports(counts, told | dict(settings or {}))
        environ = {**os.environ, **replicas.variables()}
        for command in PREPARATION:
            subprocess.run([RAGMESH, *command], cwd=ROOT, env=environ, check=True)
        logs = folder / "logs"
        logs.mkdir(exist_ok=True)
        processes = MeshProcesses(
            folder / "data", lambda name: (logs / f"{name}.log").open("a"), replicas, os.environ
        )
        stack.callback(processes.close)
        processes.start()
        stack.callback(processes.stop)
        yield DevMesh(servers, replicas, processes)


def _stop(servers: Iterable[Server]) -> None:
    for server in servers:
        server.stop()
