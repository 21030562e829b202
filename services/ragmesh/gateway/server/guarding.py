"""The guard of public gRPC: no method without a known user who may call it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ragmesh.chassis.identity.methods import is_open
from ragmesh.core.callers import Caller
from ragmesh.core.errors import DeniedError
from ragmesh.gateway.authorization import refuse_without, roles_of_method
from ragmesh.gateway.books import NoBooks, noting_refusals
from ragmesh.gateway.ports import Books, Identity

AUTHORIZATION = "authorization"


@dataclass(frozen=True, slots=True)
class DoorGuard:
    """Asks the identity who calls, and the table whether they may."""

    identity: Identity
    books: Books = field(default_factory=NoBooks)

    def admit(
        self,
        method: str,
        metadata: Sequence[tuple[str, str | bytes]],
        *,
        peer: str = "",  # noqa: ARG002 - the port's
    ) -> Caller | None:
        """The user behind the call; health and reflection are answered to everybody."""
        if is_open(method):
            return None
        values = [value for key, value in metadata if key == AUTHORIZATION]
        principal = self.identity.identify([str(value) for value in values])
        roles = roles_of_method(method)
        if roles is None:
            raise DeniedError(f"{method} is served to nobody")
        with noting_refusals(self.books, principal, method.rpartition("/")[2]):
            refuse_without(principal, roles)
        return principal
