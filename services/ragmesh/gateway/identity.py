"""Who calls: the one place that reads API keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ragmesh.core.api_keys import KeyDigest, digest_of
from ragmesh.core.callers import ADMIN, DEFAULT_TENANT_UID, MESH, Principal
from ragmesh.core.errors import KeyMalformedError, KeyMissingError, RagmeshError
from ragmesh.gateway.keys import KnownKeys

DEVELOPER = Principal(DEFAULT_TENANT_UID, "developer", roles=frozenset({ADMIN, MESH}))
KEEPER = "keeper"
"""Subject of the key that runs the mesh."""
_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class DeveloperIdentity:
    """Without identity everybody on this machine is the developer of the default tenant."""

    principal: Principal = DEVELOPER
    is_developer_mode: bool = True

    def identify(self, authorizations: Sequence[str]) -> Principal:  # noqa: ARG002 - the port's
        """The developer, whatever key a client may still carry."""
        return self.principal

    def refusal_of(self, principal: Principal) -> RagmeshError | None:  # noqa: ARG002 - the port's
        """Nothing is taken away from the developer."""
        return None


@dataclass(frozen=True, slots=True)
class KeyIdentity:
    """Knows users by their API keys, and whoever runs the mesh by the key of a file."""

    known: KnownKeys
    keeper_sha256: Callable[[], bytes]
    """Digest of the key that runs the mesh, as its file has it now."""
    is_developer_mode: bool = False

    def identify(self, authorizations: Sequence[str]) -> Principal:
        """The user of the one key that was sent, else an UnauthenticatedError with the reason."""
        digest = _sent(authorizations)
        if digest.is_of(self.keeper_sha256()):
            return Principal(
                DEFAULT_TENANT_UID, KEEPER, roles=frozenset({MESH}), key_id=digest.key_id
            )
        return self.known.principal_of(digest)

    def refusal_of(self, principal: Principal) -> RagmeshError | None:
        """Why the caller of a request under way would not be let in any more."""
        # The role of the key that runs the mesh is one that no followed key can have.
        return None if MESH in principal.roles else self.known.refusal_of(principal.key_id)


def _sent(authorizations: Sequence[str]) -> KeyDigest:
    if not authorizations or not authorizations[0]:
        raise KeyMissingError("send an API key: `Authorization: Bearer rmk_…`")
    scheme, _, key = authorizations[0].partition(" ")
    digest = digest_of(key.strip()) if scheme.lower() == _SCHEME else None
    if digest is None or len(authorizations) > 1:
        raise KeyMalformedError("the Authorization header must be one `Bearer rmk_…`")
    return digest
