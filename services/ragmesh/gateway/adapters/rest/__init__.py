"""The gateway over HTTP: REST, its OpenAPI description and server-sent events."""

from __future__ import annotations

from ragmesh.gateway.adapters.rest.app import make_app
from ragmesh.gateway.adapters.rest.door import admit_everybody, guard_developer_mode

__all__ = ["admit_everybody", "guard_developer_mode", "make_app"]
