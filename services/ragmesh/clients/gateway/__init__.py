"""The gateway from afar, as the command line and other programs of the mesh see it."""

from __future__ import annotations

from ragmesh.clients.gateway.client import GatewayClient, gateway_client

__all__ = ["GatewayClient", "gateway_client"]
