"""The Guard of the internal listeners: no method without a proven caller who may call it."""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.chassis.callers import CALLER_HEADER
from ragmesh.chassis.identity.keys import KeyRing
from ragmesh.chassis.identity.methods import is_open, may_call
from ragmesh.chassis.identity.refusals import Refusals
from ragmesh.chassis.identity.tokens import TokenVerifier
from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import (
    CallerMalformedError,
    CallerMissingError,
    MethodDeniedError,
    RagmeshError,
)


class MeshGuard:
    """Believes what its verifier believes, and lets callers do what the method table says."""

    def __init__(self, verifier: TokenVerifier, refusals: Refusals) -> None:
        self._verifier = verifier
        self.refusals = refusals

    @property
    def ring(self) -> KeyRing:
        """The public keys that are believed now."""
        return self._verifier.ring

    def believe(self, verifier: TokenVerifier) -> None:
        """Check tokens with this one from now on."""
        self._verifier = verifier

    def admit(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], *, peer: str = ""
    ) -> Caller | None:
        """The proven caller of the method, who may call it; refusals are audited."""
        if is_open(method):
            return None
        caller: Caller | None = None
        try:
            caller = self._verifier.verify(_token(metadata))
            _refuse_foreign(caller, method)
        except RagmeshError as error:
            self.refusals.record(error, method, peer=peer, caller=caller)
            raise
        return caller


def _token(metadata: Sequence[tuple[str, str | bytes]]) -> bytes:
    found = [value for key, value in metadata if key == CALLER_HEADER]
    if not found:
        raise CallerMissingError(f"the call carries no {CALLER_HEADER}")
    (token, *more) = found
    if more or not isinstance(token, bytes):
        raise CallerMalformedError("the call carries more than one caller token")
    return token


def _refuse_foreign(caller: Caller, method: str) -> None:
    if may_call(caller, method):
        return
    who = f"the machine {caller.name}" if isinstance(caller, Machine) else "a user"
    raise MethodDeniedError(f"{who} may not call {method}", metadata={"method": method})
