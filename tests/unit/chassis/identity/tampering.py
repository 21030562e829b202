"""Every way in which a call can fail to prove its caller."""

from __future__ import annotations

from types import MappingProxyType

from ragmesh.api.types.v1 import caller_pb2 as pb
from ragmesh.chassis.callers import CALLER_HEADER, Metadata
from ragmesh.chassis.identity.claims import claims_to_bytes
from ragmesh.chassis.identity.keys import PrivateKey
from ragmesh.chassis.identity.tokens import MAX_TOKEN_BYTES
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.testing.callers import MeshKeys

ANNA = Principal("tenant-1", "anna")

REFUSED = MappingProxyType(
    {
        "missing": "CALLER_MISSING",
        "noise": "CALLER_MALFORMED",
        "oversized": "CALLER_TOO_LARGE",
        "of an unknown key": "CALLER_KEY_UNKNOWN",
        "forged": "CALLER_FORGED",
        "expired": "CALLER_EXPIRED",
        "not yet valid": "CALLER_NOT_YET_VALID",
        "for a foreign audience": "CALLER_AUDIENCE_FOREIGN",
        "of a user by a key that may not": "CALLER_KEY_NOT_ALLOWED",
        "of a machine by a key that may not": "CALLER_KEY_NOT_ALLOWED",
    }
)
"""Reasons by what is wrong with the token."""


class Tampering:
    """Makes the metadata of such calls."""

    def __init__(self, clock: Clock) -> None:
        self.keys = MeshKeys(clock)
        self._clock = clock

    def metadata(self, kind: str) -> Metadata:
        """What a call of that kind carries."""
        return () if kind == "missing" else ((CALLER_HEADER, self._token(kind)),)

    def _token(self, kind: str) -> bytes:
        gateway = self.keys.private["gateway"]
        match kind:
            case "noise":
                return b"\xffnoise"
            case "oversized":
                return b"x" * (MAX_TOKEN_BYTES + 1)
            case "of an unknown key":
                return self._signed(PrivateKey.make())
            case "forged":
                forger = PrivateKey(PrivateKey.make().key, gateway.key_id)
                return self._signed(forger)
            case "expired":
                return self._signed(gateway, age_seconds=66)
            case "not yet valid":
                return self._signed(gateway, age_seconds=-6)
            case "for a foreign audience":
                return self._signed(gateway, audience="bank")
            case "of a user by a key that may not":
                return self._signed(self.keys.private["indexing"])
            case _:
                return self._signed(gateway, caller=Machine("indexer"))

    def _signed(
        self,
        key: PrivateKey,
        *,
        caller: Caller = ANNA,
        age_seconds: float = 0,
        audience: str = "mesh",
    ) -> bytes:
        issued_at = self._clock.now().timestamp() - age_seconds
        claims = pb.CallerClaims.FromString(claims_to_bytes(caller, issued_at=issued_at))
        claims.audience = audience
        content = claims.SerializeToString()
        token = pb.SignedCaller(claims=content, key_id=key.key_id, signature=key.key.sign(content))
        return token.SerializeToString()
