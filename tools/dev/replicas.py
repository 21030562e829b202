"""Several processes a target, each with ports of its own, who know where all others are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.free_ports import LOOPBACK, free_ports
from tools.mesh_processes import RAGMESH

_CALLED = ("cache", "embedding", "generation", "retrieval", "indexing")
"""Targets that other processes call."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One process."""

    name: str
    target: str
    grpc: str
    http: str
    """Where a gateway serves REST."""
    probes: str
    """Where probes and metrics are."""

    @property
    def address(self) -> str:
        """Where it is reached, and by what."""
        probes = f"probes http://{self.probes}"
        if self.target == "gateway":
            return f"REST http://{self.http}  gRPC {self.grpc}  {probes}"
        return f"gRPC {self.grpc}  {probes}" if self.target in _CALLED else probes

    def command(self, data_dir: Path) -> list[str]:
        """What starts it."""
        command = [str(RAGMESH), "run", f"--target={self.target}", "--data-dir", str(data_dir)]
        command += ["--json", "--internal-http", self.probes]
        if self.target == "gateway":
            command += ["--http", self.http, "--grpc", self.grpc]
        elif self.target in _CALLED:
            command += ["--internal-grpc", self.grpc]
        return command


@dataclass(frozen=True, slots=True)
class Replicas:
    """The processes of a mesh, and what all of them are told."""

    replicas: Mapping[str, Replica]
    settings: Mapping[str, str]

    @classmethod
    def on_free_ports(cls, counts: Mapping[str, int], settings: Mapping[str, str]) -> Replicas:
        """So many of each target, told these settings."""
        ports = (f"{LOOPBACK}:{port}" for port in free_ports())
        made = (
            Replica(f"{target}-{number}", target, next(ports), next(ports), next(ports))
            for target, count in counts.items()
            for number in range(1, count + 1)
        )
        return cls({replica.name: replica for replica in made}, settings)

    @property
    def names(self) -> Sequence[str]:
        """In the order of the table."""
        return tuple(self.replicas)

    def target(self, name: str) -> str:
        """What a process runs."""
        return self.replicas[name].target

    def command(self, name: str, data_dir: Path) -> list[str]:
        """What starts a process."""
        return self.replicas[name].command(data_dir)

    def variables(self) -> dict[str, str]:
        """Where the servers and all replicas are."""
        return {**self.settings, **dict(self._peers())}

    def of(self, target: str) -> list[Replica]:
        """The replicas of a target."""
        return [replica for replica in self.replicas.values() if replica.target == target]

    def _peers(self) -> Iterator[tuple[str, str]]:
        for target in _CALLED:
            addresses = ",".join(replica.grpc for replica in self.of(target))
            # gRPC takes several addresses of one name in this form.
            yield f"RAGMESH_PEERS__{target.upper()}", f"ipv4:{addresses}"
