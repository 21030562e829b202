"""What a process is made of while it starts: settings, life, and the services that run here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ragmesh.app.settings import Settings
from ragmesh.chassis.lifecycle import Lifecycle
from ragmesh.core.clock import Clock


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
    listening: dict[str, str] = field(default_factory=dict)
    """Addresses that are really served: `http`, `grpc`."""

    async def port(self, name: str) -> Any:
        """The service of that module; it runs here, because needs start first."""
        return self.running[name]
