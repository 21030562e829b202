"""Errors about who calls between services: tokens that are refused, keys that cannot be used."""

from __future__ import annotations

from ragmesh.core.errors.tls import PeerNameDeniedError
from ragmesh.core.errors.tree import (
    DeniedError,
    PreconditionError,
    UnauthenticatedError,
)


class CallerMissingError(UnauthenticatedError):
    """A call between services carries no caller token."""

    reason = "CALLER_MISSING"


class CallerTooLargeError(UnauthenticatedError):
    """A caller token is larger than the limit in the metadata; the user is in too many groups."""

    reason = "CALLER_TOO_LARGE"


class CallerMalformedError(UnauthenticatedError):
    """A caller token is not what its contract says, or there is more than one."""

    reason = "CALLER_MALFORMED"


class CallerKeyUnknownError(UnauthenticatedError):
    """A caller token names a key that is not in the public-key file."""

    reason = "CALLER_KEY_UNKNOWN"


class CallerForgedError(UnauthenticatedError):
    """The signature of a caller token is not that of the key it names."""

    reason = "CALLER_FORGED"


class CallerAudienceError(UnauthenticatedError):
    """A caller token was made for somebody else than the mesh."""

    reason = "CALLER_AUDIENCE_FOREIGN"


class CallerExpiredError(UnauthenticatedError):
    """A caller token is older than its 60 seconds."""

    reason = "CALLER_EXPIRED"


class CallerNotYetValidError(UnauthenticatedError):
    """A caller token comes from the future; the clocks of two machines differ by seconds."""

    reason = "CALLER_NOT_YET_VALID"


class CallerKeyNotAllowedError(UnauthenticatedError):
    """The key of a caller token may not speak for that caller."""

    reason = "CALLER_KEY_NOT_ALLOWED"


class MethodDeniedError(DeniedError):
    """The caller is known and may not call this method of an internal service."""

    reason = "METHOD_DENIED"


REFUSED_CALLS = (
    CallerMissingError,
    CallerTooLargeError,
    CallerMalformedError,
    CallerKeyUnknownError,
    CallerForgedError,
    CallerAudienceError,
    CallerExpiredError,
    CallerNotYetValidError,
    CallerKeyNotAllowedError,
    MethodDeniedError,
    PeerNameDeniedError,
)
"""What one service of the mesh says to another. To the user behind them it is the mesh's own fault,
and no doubt about who they are."""


class KeyFileExposedError(PreconditionError):
    """The file of a private key can be read or written by others than its process."""

    reason = "KEY_FILE_EXPOSED"


class KeyFileUnusableError(PreconditionError):
    """The file of a private key cannot be read, or holds no Ed25519 key."""

    reason = "KEY_FILE_UNUSABLE"


class PublicKeysUnusableError(PreconditionError):
    """The public-key file cannot be read, or does not say what its format asks for."""

    reason = "PUBLIC_KEYS_UNUSABLE"


class KeyNotListedError(PreconditionError):
    """The public-key file does not let this process's key speak for what it runs."""

    reason = "KEY_NOT_LISTED"
