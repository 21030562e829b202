"""What a process is made of while it starts: settings, life, and the services that run here."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ragmesh.app.settings import Settings
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.chassis.silence import Silence
from ragmesh.core.clock import Clock

if TYPE_CHECKING:
    import grpc

    from ragmesh.app.modules.tls import Tls
    from ragmesh.chassis.telemetry.opening import Telemetry

_PING_SECONDS = 10.0
"""Within the mesh a dead replica is to be found sooner than elsewhere."""
CLIENTS = MappingProxyType(
    {
        "cache": "CacheClient",
        "embedding": "EmbeddingClient",
        "generation": "GenerationClient",
        "indexing": "IndexingClient",
        "retrieval": "RetrievalClient",
    }
)
"""The remote twin of each service, in `ragmesh.clients.<service>`."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Handed from module to module; each finds its needs here and leaves its service."""

    settings: Settings
    life: Lifecycle
    clock: Clock
    in_cluster: bool
    """Whether the process runs in a pod, where nobody is the developer."""
    running: dict[str, Any] = field(default_factory=dict)
    """Services of this process by the name of their module."""
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    """Connections to the services that run elsewhere and are needed here."""
    silences: dict[str, Silence] = field(default_factory=dict)
    """Whether those services still answer, as the probes of health find."""
    listening: dict[str, str] = field(default_factory=dict)
    """Addresses that are really served: `http`, `grpc`, `internal_grpc`, `internal_http`."""

    async def port(self, name: str) -> Any:
        """The service itself when it runs here, otherwise a client that dials it."""
        if name in self.running:
            return self.running[name]
        clients = import_module(f"ragmesh.clients.{name}")
        return getattr(clients, CLIENTS[name])(
            await self.channel(name), self.running["identity"].signer
        )

    @property
    def telemetry(self) -> Telemetry:
        """What watches this process; opened before everything else."""
        watching: Telemetry = self.running["telemetry"]
        return watching

    @property
    def tls(self) -> Tls:
        """What connections of this process are encrypted with."""
        security: Tls = self.running["tls"]
        return security

    def observed(self, name: str, service: Any) -> Any:
        """The service, watched. Where it is called over gRPC, the call is a span already."""
        return self.telemetry.observed(name, service, as_spans=self.settings.target == "all")

    def silence(self, name: str) -> Silence:
        """What is known of a service that runs elsewhere: whether it still answers."""
        return self.silences.setdefault(name, Silence())

    async def channel(self, name: str) -> grpc.aio.Channel:
        """The one channel to a service that runs elsewhere, open as long as the process."""
        from ragmesh.chassis.grpc_channels import ChannelOptions, channel

        if name not in self.channels:
            methods = import_module(f"ragmesh.clients.{name}").IDEMPOTENT_METHODS
            opened = channel(
                getattr(self.settings.peers, name),
                options=ChannelOptions(
                    peer=name,
                    idempotent_methods=methods,
                    keepalive_timeout_seconds=_PING_SECONDS,
                ),
                telemetry=self.telemetry.calls,
                security=self.tls.calling(name),
                silence=self.silence(name),
            )
            self.channels[name] = await self.life.stack.enter_async_context(opened)
        return self.channels[name]
