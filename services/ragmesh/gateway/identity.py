"""Who calls: the one place that will read API keys."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.callers import ADMIN, DEFAULT_TENANT_UID, Principal

DEVELOPER = Principal(DEFAULT_TENANT_UID, "developer", roles=frozenset({ADMIN}))


@dataclass(frozen=True, slots=True)
class DeveloperIdentity:
    """Without identity everybody on this machine is the developer of the default tenant."""

    principal: Principal = DEVELOPER

    def identify(self, authorization: str | None) -> Principal:  # noqa: ARG002 - no keys exist yet
        """The developer, whatever key a client may still carry."""
        return self.principal
