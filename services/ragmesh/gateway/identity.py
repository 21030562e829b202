"""Who calls: the one place that will read API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import ADMIN, DEFAULT_TENANT_UID, MESH, Principal

DEVELOPER = Principal(DEFAULT_TENANT_UID, "developer", roles=frozenset({ADMIN, MESH}))


@dataclass(frozen=True, slots=True)
class DeveloperIdentity:
    """Without identity everybody on this machine is the developer of the default tenant."""

    principal: Principal = DEVELOPER
    is_developer_mode: bool = True

    def identify(self, authorizations: Sequence[str]) -> Principal:  # noqa: ARG002 - the port's
        """The developer, whatever key a client may still carry."""
        return self.principal
