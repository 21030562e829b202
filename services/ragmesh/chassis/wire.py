"""The only module where both vocabularies of errors meet: the mesh's and those of its doors.

Inside, an error is a class with a kind and a reason. On gRPC it is google.rpc.Status with
ErrorInfo (domain, reason, metadata), BadRequest (violations) and RetryInfo; over HTTP its kind
decides the status. Everything that is not ours becomes INTERNAL with an id, and only the log
knows more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import MappingProxyType
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from ragmesh.core.errors import (
    REFUSED_CALLS,
    AlreadyExistsError,
    BodyTooLargeError,
    BodyTooSlowError,
    ConflictError,
    DeadlineError,
    DeniedError,
    ExhaustedError,
    FileTooLargeError,
    HeadersTooLargeError,
    HeadersTooSlowError,
    InternalError,
    InvalidError,
    Kind,
    NotFoundError,
    PeerUnavailableError,
    PreconditionError,
    RagmeshError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    UnsupportedFormatError,
    UnsupportedMediaTypeError,
    Violation,
    error_classes,
)
from ragmesh.core.ids import new_uid

DOMAIN = "ragmesh.dev"
DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata in which gRPC carries a google.rpc.Status."""

CODES = MappingProxyType(
    {
        Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
        Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
        Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
        Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
        Kind.CONFLICT: grpc.StatusCode.ABORTED,
        Kind.EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
        Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
        Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
        Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        Kind.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
        Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    }
)
HTTP_STATUSES = MappingProxyType(
    {
        Kind.INVALID: 400,
        Kind.NOT_FOUND: 404,
        Kind.ALREADY_EXISTS: 409,
        Kind.PRECONDITION: 400,
        Kind.CONFLICT: 409,
        Kind.EXHAUSTED: 429,
        Kind.UNAVAILABLE: 503,
        Kind.DEADLINE: 504,
        Kind.DENIED: 403,
        Kind.UNAUTHENTICATED: 401,
        Kind.UNSUPPORTED: 501,
        Kind.INTERNAL: 500,
    }
)
_HTTP_BY_REASON = MappingProxyType(
    {
        FileTooLargeError.reason: 413,
        BodyTooLargeError.reason: 413,
        BodyTooSlowError.reason: 408,
        HeadersTooLargeError.reason: 431,
        HeadersTooSlowError.reason: 408,
        UnsupportedFormatError.reason: 415,
        UnsupportedMediaTypeError.reason: 415,
    }
)
_GENERAL: MappingProxyType[Kind, type[RagmeshError]] = MappingProxyType(
    {
        general.kind: general
        for general in (
            InvalidError, NotFoundError, AlreadyExistsError, PreconditionError, ConflictError,
            ExhaustedError, UnavailableError, DeadlineError, DeniedError, UnauthenticatedError,
            UnsupportedError, InternalError,
        )
    }
)  # fmt: skip
# Codes that only gRPC itself, or a server that is not ours, sends.
_FOREIGN_CODES = MappingProxyType(
    {
        grpc.StatusCode.CANCELLED: Kind.UNAVAILABLE,
        grpc.StatusCode.OUT_OF_RANGE: Kind.INVALID,
        grpc.StatusCode.UNKNOWN: Kind.INTERNAL,
        grpc.StatusCode.DATA_LOSS: Kind.INTERNAL,
    }
)
_KINDS = MappingProxyType({code: kind for kind, code in CODES.items()} | dict(_FOREIGN_CODES))
_CODES_BY_NUMBER = MappingProxyType({code.value[0]: code for code in grpc.StatusCode})
_TOO_LARGE = "message larger than max"
_PEER_RETRY_SECONDS = 1.0
"""A restarted peer is connected again about this soon."""
_MAX_MESSAGE_CHARACTERS = 1_000
_MAX_STATUS_BYTES = 4_096
"""gRPC drops trailers above 8 KiB, and some peers carry these bytes as base64."""

_log = logging.getLogger(__name__)
_MessageT = TypeVar("_MessageT", bound=Message)


def code_of(error: RagmeshError) -> grpc.StatusCode:
    """The gRPC code of an error; its kind decides."""
    return CODES[error.kind]


def http_status(error: RagmeshError | type[RagmeshError]) -> int:
    """The HTTP status of an error or a class; its kind decides, but for bodies and formats."""
    return _HTTP_BY_REASON.get(error.reason, HTTP_STATUSES[error.kind])


def to_status(error: RagmeshError) -> Status:
    """Encode an error with its reason, metadata, delay and as many violations as fit."""
    status = Status(code=code_of(error).value[0], message=_shortened(error.message))
    for detail in _details(error):
        packed = AnyMessage()
        packed.Pack(detail)
        if status.ByteSize() + packed.ByteSize() <= _MAX_STATUS_BYTES:
            status.details.append(packed)
    return status


def from_status(status: Status) -> RagmeshError:
    """Decode an error into the class of its reason; without a reason of ours, by its code."""
    reason = ""
    metadata: dict[str, str] = {}
    violations: list[Violation] = []
    delay: float | None = None
    for packed in status.details:
        if (named := _unpacked(packed, ErrorInfo)) is not None and named.domain == DOMAIN:
            reason, metadata = named.reason, dict(named.metadata)
        elif (request := _unpacked(packed, BadRequest)) is not None:
            violations += [Violation(v.field, v.description) for v in request.field_violations]
        elif (retry := _unpacked(packed, RetryInfo)) is not None:
            delay = retry.retry_delay.ToNanoseconds() / 1e9
    found = error_classes().get(reason)
    if found is None:
        found = _general_class(_CODES_BY_NUMBER.get(status.code))
        if reason:  # of a newer server: kept for whoever reads the log
            metadata = {**metadata, "reason": reason}
    return found(
        status.message, metadata=metadata, violations=violations, retry_after_seconds=delay
    )


def from_rpc_error(rpc_error: grpc.aio.AioRpcError | grpc.Call, *, peer: str = "") -> RagmeshError:
    """Decode what a stub raised into the class the server raised; a dead peer by its code.

    A dead `peer` is named by what it is in the mesh: gRPC's own words hold addresses, which are
    nobody's business behind the next door. One that refuses this process, or that knows nothing of
    the method, is as good as dead: keys, clocks, versions or addresses do not fit, which is for
    the log and no judgement on whoever asked here, nor on the document that is worked on.
    """
    for key, value in rpc_error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                told = from_status(Status.FromString(value))
            except DecodeError:
                break
            refused = peer and isinstance(told, REFUSED_CALLS)
            return _not_taken(told.reason, peer) if refused else told
    message = rpc_error.details() or "the peer gave no reason"
    # gRPC refuses such a message itself, below anything that could add a reason; to retry it as
    # exhaustion would be in vain.
    if rpc_error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in message:
        return BodyTooLargeError(message)
    found = _general_class(rpc_error.code())
    if peer and found.kind is Kind.UNSUPPORTED:  # a service that is there would give a reason
        return _not_taken("METHOD_UNKNOWN", peer)
    # Our servers give a reason with every INTERNAL. One without is what gRPC makes of a call that
    # ended while this side still wrote.
    broke_off = rpc_error.code() is grpc.StatusCode.INTERNAL or found.kind is Kind.UNAVAILABLE
    if peer and broke_off:
        return PeerUnavailableError(
            f"the service {peer} did not answer",
            metadata={"peer": peer},
            retry_after_seconds=_PEER_RETRY_SECONDS,
        )
    return found(message)


def as_mesh_error(error: Exception) -> RagmeshError:
    """The error itself when it is ours; else INTERNAL with an id, the rest going to the log.

    That a peer refused this process is for the log as well: whoever asks here would take it for a
    judgement on themselves.
    """
    if isinstance(error, RagmeshError) and not isinstance(error, REFUSED_CALLS):
        if error.kind is Kind.INTERNAL:
            _log.error("internal error", exc_info=error, extra={"reason": error.reason})
        return error
    error_id = new_uid()
    _log.error("unexpected error", exc_info=error, extra={"error_id": error_id})
    return InternalError(
        f"an internal error; the log describes it under {error_id}",
        metadata={"error_id": error_id},
    )


def _not_taken(reason: str, peer: str) -> PeerUnavailableError:
    _log.error(
        "a peer does not take the calls of this process", extra={"peer": peer, "reason": reason}
    )
    return PeerUnavailableError(
        f"the service {peer} did not take the call",
        metadata={"peer": peer},
        retry_after_seconds=_PEER_RETRY_SECONDS,
    )


def _details(error: RagmeshError) -> Iterator[Message]:
    metadata = {key: _shortened(value) for key, value in error.metadata.items()}
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    if error.retry_after_seconds is not None:
        retry = RetryInfo()
        retry.retry_delay.FromNanoseconds(round(error.retry_after_seconds * 1e9))
        yield retry
    # One detail a violation, so that the first ones fit where all of them would not.
    for violation in error.violations:
        field, description = _shortened(violation.field), _shortened(violation.message)
        found = BadRequest.FieldViolation(field=field, description=description)
        yield BadRequest(field_violations=[found])


def _shortened(text: str) -> str:
    if len(text) <= _MAX_MESSAGE_CHARACTERS:
        return text
    return f"{text[: _MAX_MESSAGE_CHARACTERS - 1]}…"


def _unpacked(packed: AnyMessage, kind: type[_MessageT]) -> _MessageT | None:
    message = kind()
    try:
        return message if packed.Unpack(message) else None
    except DecodeError:
        return None


def _general_class(code: grpc.StatusCode | None) -> type[RagmeshError]:
    kind = Kind.INTERNAL if code is None else _KINDS.get(code, Kind.INTERNAL)
    return _GENERAL[kind]
