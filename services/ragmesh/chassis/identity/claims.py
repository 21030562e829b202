"""What a token says: CallerClaims of the contract, and the value they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.types.v1 import caller_pb2 as pb
from ragmesh.core.callers import Caller, Machine, Principal, Requester
from ragmesh.core.errors import CallerMalformedError

AUDIENCE = "mesh"
LIFETIME_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims as they were signed; the moments are seconds of the epoch."""

    caller: Caller
    audience: str
    issued_at: float
    expires_at: float


def claims_to_bytes(caller: Caller, *, issued_at: float) -> bytes:
    """The bytes to sign, valid for the mesh for 60 seconds from a moment of the epoch."""
    claims = pb.CallerClaims(
        audience=AUDIENCE,
        issued_at=_timestamp(issued_at),
        expires_at=_timestamp(issued_at + LIFETIME_SECONDS),
    )
    if isinstance(caller, Machine):
        asks = caller.requester
        claims.machine.MergeFrom(
            pb.Machine(
                name=caller.name,
                tenant_uid=caller.tenant_uid,
                requester_uid="" if asks is None else asks.uid,
                requester_generation=0 if asks is None else asks.generation,
            )
        )
    else:
        claims.principal.MergeFrom(
            pb.Principal(
                tenant_uid=caller.tenant_uid,
                subject=caller.subject,
                groups=sorted(caller.groups),
                roles=sorted(caller.roles),
                key_id=caller.key_id,
            )
        )
    return claims.SerializeToString(deterministic=True)


def claims_from_bytes(content: bytes) -> Claims:
    """What was signed; CallerMalformedError when it names nobody, or lives longer than it may."""
    try:
        message = pb.CallerClaims.FromString(content)
    except DecodeError:
        raise CallerMalformedError("the claims of the caller token cannot be read") from None
    claims = Claims(
        _caller(message),
        message.audience,
        _seconds(message.issued_at),
        _seconds(message.expires_at),
    )
    if not 0 < claims.expires_at - claims.issued_at <= LIFETIME_SECONDS:
        raise CallerMalformedError(f"a caller token lives for {LIFETIME_SECONDS} s at most")
    return claims


def _caller(message: pb.CallerClaims) -> Caller:
    if message.HasField("machine") and message.machine.name:
        machine = message.machine
        asks = machine.requester_uid
        return Machine(
            machine.name,
            machine.tenant_uid,
            Requester(asks, machine.requester_generation) if asks else None,
        )
    user = message.principal
    # Without a tenant nothing would limit what the user sees.
    if not message.HasField("principal") or not user.tenant_uid or not user.subject:
        raise CallerMalformedError("the caller token names neither a machine nor a user")
    groups, roles = frozenset(user.groups), frozenset(user.roles)
    return Principal(user.tenant_uid, user.subject, groups, roles, user.key_id)


def _timestamp(moment: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(moment * 1e6))
    return stamp


def _seconds(stamp: Timestamp) -> float:
    return stamp.seconds + stamp.nanos / 1e9
