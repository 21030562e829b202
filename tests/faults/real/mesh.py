"""A mesh of processes on real servers, with a wire before each server; started once and reused.

Everything can be ended, stopped and cut while it runs. Who uses it keeps apart by tenants of their
own, and leaves everything running.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.meshes import environment, ragmesh
from tests.faults.wires import Wire, wire_to
from tools.dev.mesh import running_processes
from tools.dev.replicas import Replica, Replicas
from tools.generate_protos import ROOT
from tools.mesh_processes import RAGMESH, MeshProcesses
from tools.servers.server import Server
from tools.servers.table import KINDS

COUNTS: Mapping[str, int] = {
    "cache": 1,
    "embedding": 1,
    "generation": 1,
    "retrieval": 2,
    "indexing": 1,
    "indexer": 2,
    "gateway": 2,
}
SESSION_SECONDS = 6
"""How long a killed indexer's events wait for the other: the least that Kafka allows."""
BLOCK_SECONDS = 4.0
"""How long SIGUSR1 stops an event loop, unless somebody asks for more."""
START_SECONDS = 300.0
"""A start may take so long where many share a machine."""
PREFIX = "faults."
"""Of the topics."""
_BLOCKING = Path(__file__).parent / "blocking"
_WEAVIATE_PORTS = (8080, 50051)


@dataclass(frozen=True, slots=True)
class RealMesh:
    """What runs, and how each part of it is reached."""

    servers: Mapping[str, Server]
    wires: Mapping[str, tuple[Wire, ...]]
    """To each server, from every process of the mesh."""
    replicas: Replicas
    processes: MeshProcesses
    admin_key: str
    logs: Path

    @property
    def gateways(self) -> list[Replica]:
        """Where users come in."""
        return self.replicas.of("gateway")

    def names_of(self, target: str) -> list[str]:
        """The processes of a target."""
        return [replica.name for replica in self.replicas.of(target)]

    def pid(self, name: str) -> int:
        """The process that runs now under this name."""
        return self.processes.processes[name].pid

    def topic(self, name: str) -> str:
        """What a topic of the mesh is called at the broker."""
        return f"{PREFIX}{name}"

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a process a signal that need not end it."""
        self.processes.processes[name].send_signal(number)

    async def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process."""
        await asyncio.to_thread(self.processes.send, name, number)

    async def begin(self, *names: str) -> None:
        """Start processes that have ended; return when they serve."""
        for name in names:
            await asyncio.to_thread(self.processes.launch, name)
        for name in names:
            await asyncio.to_thread(self.processes.await_ready, name, START_SECONDS)

    async def restore(self) -> None:
        """End whatever is left of a fault, also of one that was broken off."""
        for wire in (wire for wires in self.wires.values() for wire in wires):
            wire.heal()
        for server in self.servers.values():
            await asyncio.to_thread(server.thaw if server.runs else server.start)
        ended = [name for name in self.replicas.names if not self._runs(name)]
        for name in set(self.replicas.names) - set(ended):
            self.send(name, signal.SIGCONT)
        await self.begin(*ended)

    def _runs(self, name: str) -> bool:
        return self.processes.processes[name].poll() is None

    async def command(self, *words: str) -> None:
        """Run a command of ragmesh as whoever runs the mesh does; it must succeed."""
        told = environment(**self.replicas.variables())

        def run() -> None:
            subprocess.run([RAGMESH, *words], cwd=ROOT, env=told, check=True, capture_output=True)

        await asyncio.to_thread(run)

    @property
    def log(self) -> str:
        """What all processes have said."""
        return "".join(path.read_text() for path in sorted(self.logs.iterdir()))


@contextmanager
def running_real_mesh(folder: Path, **more: str) -> Iterator[RealMesh]:
    """Servers, wires and processes for the time of the block."""
    with ExitStack() as stack:
        servers, wires = _running_servers(folder / "servers", stack)
        keys = folder / "secrets"
        assert ragmesh("keys", "create", "--offline", "--into", keys).code == 0
        settings = {
            **_settings(servers, wires),
            "RAGMESH_IDENTITY__ADMIN_KEY_FILE": str(keys / "admin.key.sha256"),
            "RAGMESH_EVENTS__KAFKA__SESSION_SECONDS": str(SESSION_SECONDS),
            "RAGMESH_INTERNAL__DRAIN_SECONDS": "0",
            **more,
        }
        replicas = Replicas.on_free_ports(COUNTS, settings)
        environ = environment(PYTHONPATH=str(_BLOCKING), BLOCK_SECONDS=str(BLOCK_SECONDS))
        processes = stack.enter_context(running_processes(folder, replicas, environ))
        admin_key = (keys / "admin.key").read_text().strip()
        yield RealMesh(servers, wires, replicas, processes, admin_key, folder / "logs")


def _running_servers(
    folder: Path, stack: ExitStack
) -> tuple[dict[str, Server], dict[str, tuple[Wire, ...]]]:
    """Every server behind a wire, which a broker has to know before it starts."""
    kafka = Server("kafka-wired", folder / "kafka")
    wire = stack.enter_context(wire_to(kafka.host, kafka.ports["wired"]))
    kafka = Server("kafka-wired", kafka.folder, {**kafka.ports, "wire": wire.here})
    servers = {"kafka": kafka} | {
        name: Server(name, folder / name) for name in ("weaviate", "postgres", "s3", "redis")
    }
    for server in servers.values():
        stack.callback(server.close)
    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(Server.start, servers.values()))
    ports: dict[str, tuple[int, ...]] = {name: (one.port,) for name, one in servers.items()}
    ports["weaviate"] = _WEAVIATE_PORTS
    wires = {"kafka": (wire,)} | {
        name: tuple(stack.enter_context(wire_to(servers[name].host, port)) for port in ports[name])
        for name in servers
        if name != "kafka"
    }
    return servers, wires


def _settings(
    servers: Mapping[str, Server], wires: Mapping[str, tuple[Wire, ...]]
) -> dict[str, str]:
    """What makes a process use the servers, each through its wire."""
    kafka = servers["kafka"]
    told = {**kafka.settings, kafka.kind.setting: f"{kafka.url}/{PREFIX}"}
    for name in ("postgres", "s3", "redis"):
        server, (wire,) = servers[name], wires[name]
        straight, bent = f"{server.host}:{server.port}", f"{wire.address}"
        told |= {key: word.replace(straight, bent) for key, word in server.settings.items()}
    http, grpc = wires["weaviate"]
    told[KINDS["weaviate"].setting] = f"weaviate://{http.address}:{grpc.here}"
    return told
