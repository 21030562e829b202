"""Where a Weaviate is, and how it is spoken to; importing this costs nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

HTTP_PORT, GRPC_PORT = 8080, 50051
_URL = re.compile(
    r"weaviate://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)"
    r"(?::(?P<http>[0-9]{1,5})(?::(?P<grpc>[0-9]{1,5}))?)?/?"
)


@dataclass(frozen=True, slots=True)
class WeaviateServer:
    """One server, or what stands before several."""

    host: str
    http_port: int = HTTP_PORT
    grpc_port: int = GRPC_PORT
    secure: bool = False
    """Whether both ports speak TLS."""
    authorities: Path | None = None
    """PEM file of the authorities that are trusted; None = those of the system."""
    api_key_file: Path | None = None
    timeout_seconds: float = 5.0
    """Longest wait for the answer to a search; a write may take several times as long."""

    @classmethod
    def parse(cls, url: str) -> WeaviateServer:
        """The server of `weaviate://HOST[:HTTP PORT[:GRPC PORT]]`; ValueError for anything else."""
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError("must be weaviate://HOST[:HTTP PORT[:GRPC PORT]]")
        http_port, grpc_port = int(match["http"] or HTTP_PORT), int(match["grpc"] or GRPC_PORT)
        if not all(0 < port < 65_536 for port in (http_port, grpc_port)):
            raise ValueError("must name ports between 1 and 65535")
        return cls(match["host"], http_port, grpc_port)

    @property
    def address(self) -> str:
        """How whoever runs the mesh is told where it is; nobody else is."""
        return f"{self.host}:{self.http_port} (gRPC {self.grpc_port})"

    @property
    def rest_url(self) -> str:
        """Base of its REST calls."""
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        """Where its gRPC is."""
        return f"{self.host}:{self.grpc_port}"
