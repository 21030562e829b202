"""The gateway over HTTP: REST, its OpenAPI description and server-sent events."""

from __future__ import annotations

from ragmesh.gateway.adapters.rest.app import make_app

__all__ = ["make_app"]
