"""Errors about certificates: those of this process, and those that a peer shows."""

from __future__ import annotations

from ragmesh.core.errors.tree import DeniedError, PreconditionError


class CertificateUnusableError(PreconditionError):
    """A file of a certificate, its key or its authority cannot be read or does not fit."""

    reason = "CERTIFICATE_UNUSABLE"


class CertificateExpiredError(PreconditionError):
    """A certificate has ended; the metadata says when, if it is known."""

    reason = "CERTIFICATE_EXPIRED"


class CertificateNotYetValidError(PreconditionError):
    """A certificate begins in the future; the clocks of two machines may differ."""

    reason = "CERTIFICATE_NOT_YET_VALID"


class CertificateNameError(PreconditionError):
    """A certificate does not hold the name of whom it should prove."""

    reason = "CERTIFICATE_NAME_WRONG"


class CertificateUntrustedError(PreconditionError):
    """A certificate was not issued by an authority that is trusted here."""

    reason = "CERTIFICATE_UNTRUSTED"


class CertificateRefusedError(PreconditionError):
    """The other side does not accept the certificate of this one, or wants one."""

    reason = "CERTIFICATE_REFUSED"


class EncryptionMismatchError(PreconditionError):
    """One side speaks TLS and the other does not."""

    reason = "ENCRYPTION_MISMATCH"


class PeerNameDeniedError(DeniedError):
    """The name in the certificate of a peer is none that may call this service."""

    reason = "PEER_NAME_DENIED"
