"""Every error that crosses a port, as one tree.

RagmeshError
├── InvalidError        the caller must change the request        (INVALID_ARGUMENT, HTTP 400)
├── NotFoundError       what was named is not there, or not for this caller  (NOT_FOUND, 404)
├── AlreadyExistsError  the name is taken                          (ALREADY_EXISTS, 409)
├── PreconditionError   the state forbids it                       (FAILED_PRECONDITION, 400)
├── ConflictError       somebody else was faster; read again       (ABORTED, 409)
├── ExhaustedError      too much at once; retry later              (RESOURCE_EXHAUSTED, 429)
├── UnavailableError    a dependency is away; retry later          (UNAVAILABLE, 503)
├── DeadlineError       time ran out                               (DEADLINE_EXCEEDED, 504)
├── DeniedError         the caller is known and may not            (PERMISSION_DENIED, 403)
├── UnauthenticatedError  the caller is not known                  (UNAUTHENTICATED, 401)
├── UnsupportedError    the request is well formed, the feature is not there (UNIMPLEMENTED, 501)
└── InternalError       a defect; the log has the details          (INTERNAL, 500)

A class says its *kind* (what the caller can do) and its *reason* (stable, greppable, documented in
docs/reference/errors.md). Retry policy reads the kind, never a class or a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import ClassVar


class Kind(Enum):
    """What a caller can do about an error."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PRECONDITION = "precondition"
    CONFLICT = "conflict"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    DENIED = "denied"
    UNAUTHENTICATED = "unauthenticated"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self in {Kind.EXHAUSTED, Kind.UNAVAILABLE, Kind.DEADLINE, Kind.CONFLICT}

    @property
    def retried(self) -> bool:
        """Whether a client sends the same request again by itself, if that is safe.

        A conflict must be read again first, and after a deadline nobody waits any more.
        """
        return self in {Kind.EXHAUSTED, Kind.UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request and what is wrong with it."""

    field: str
    message: str


class RagmeshError(Exception):
    """The root of every error a port may raise."""

    kind: ClassVar[Kind] = Kind.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


def error_classes() -> dict[str, type[RagmeshError]]:
    """Every known class by its reason; what a client raises when it reads that reason."""
    found: dict[str, type[RagmeshError]] = {}
    waiting: list[type[RagmeshError]] = [RagmeshError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            found[child.reason] = child
            waiting.append(child)
    return found


class InvalidError(RagmeshError):
    """The request is malformed; the violations name the fields."""

    kind = Kind.INVALID
    reason = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, field: str, message: str) -> InvalidError:
        """The error about one field."""
        return cls(f"{field}: {message}", violations=[Violation(field, message)])


class NotFoundError(RagmeshError):
    """What was named does not exist, or this caller may not see it."""

    kind = Kind.NOT_FOUND
    reason = "NOT_FOUND"


class AlreadyExistsError(RagmeshError):
    """The name is already taken."""

    kind = Kind.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class PreconditionError(RagmeshError):
    """The state of the system forbids the request."""

    kind = Kind.PRECONDITION
    reason = "FAILED_PRECONDITION"


class ConflictError(RagmeshError):
    """Another writer was faster; read again and decide anew."""

    kind = Kind.CONFLICT
    reason = "CONFLICT"


class ExhaustedError(RagmeshError):
    """More was asked for than there is room for; retry after the given delay."""

    kind = Kind.EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class UnavailableError(RagmeshError):
    """A dependency cannot be reached just now."""

    kind = Kind.UNAVAILABLE
    reason = "UNAVAILABLE"


class PeerUnavailableError(UnavailableError):
    """Another service of the mesh did not answer or refused to; the metadata names it.

    Whoever called it has already tried again where that was safe.
    """

    reason = "PEER_UNAVAILABLE"


class DeadlineError(RagmeshError):
    """The caller's time ran out."""

    kind = Kind.DEADLINE
    reason = "DEADLINE_EXCEEDED"


class DeniedError(RagmeshError):
    """The caller is known and may not do this."""

    kind = Kind.DENIED
    reason = "PERMISSION_DENIED"


class UnauthenticatedError(RagmeshError):
    """The caller could not be identified."""

    kind = Kind.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class UnsupportedError(RagmeshError):
    """The request is understood, but this deployment does not offer it."""

    kind = Kind.UNSUPPORTED
    reason = "UNSUPPORTED"


class InternalError(RagmeshError):
    """A defect; the log of the process holds the details under the error's id."""

    kind = Kind.INTERNAL
    reason = "INTERNAL"
