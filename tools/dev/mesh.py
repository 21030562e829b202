"""A mesh on real servers: all of it in one folder, started in order and stopped in reverse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
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
def running_mesh(folder: Path) -> Iterator[DevMesh]:
    """Servers, and processes on them, for the time of the block; what they stored stays."""
    with running_servers(folder / "servers", SERVERS) as servers:
        told = {name: word for server in servers.values() for name, word in server.settings.items()}
        replicas = Replicas.on_free_ports(REPLICAS, told)
        with running_processes(folder, replicas, os.environ) as processes:
            yield DevMesh(servers, replicas, processes)


@contextmanager
def running_processes(
    folder: Path, replicas: Replicas, environ: Mapping[str, str]
) -> Iterator[MeshProcesses]:
    """Processes on servers that run, which are made ready for them."""
    for command in PREPARATION:
        told = {**environ, **replicas.variables()}
        subprocess.run([RAGMESH, *command], cwd=ROOT, env=told, check=True)
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    processes = MeshProcesses(
        folder / "data", lambda name: (logs / f"{name}.log").open("a"), replicas, environ
    )
    try:
        processes.start()
        yield processes
    finally:
        # One that did not get so far is asked to end like the others, in order.
        if set(processes.processes) == set(replicas.names):
            processes.stop()
        processes.close()


@contextmanager
def running_servers(folder: Path, names: Sequence[str]) -> Iterator[Mapping[str, Server]]:
    """These servers, each in a folder of its own; what they stored stays."""
    servers = {name: Server(name, folder / name) for name in names}
    with ExitStack() as stack:
        for server in servers.values():
            stack.callback(server.close)
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.start, servers.values()))
        for server in servers.values():
            stack.callback(server.stop)
        yield servers
