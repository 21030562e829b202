"""Errors about index versions and their vectors."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    ExhaustedError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)


class FingerprintMismatchError(PreconditionError):
    """Vectors of one encoder were offered to an index version of another."""

    reason = "FINGERPRINT_MISMATCH"


class InvalidVectorError(InvalidError):
    """A vector has the wrong dimension or holds NaN or infinity."""

    reason = "INVALID_VECTOR"


class IndexVersionGoneError(PreconditionError):
    """The index version does not exist (any more); resolve the route again."""

    reason = "INDEX_VERSION_GONE"

    @classmethod
    def of(cls, index_version_uid: str) -> IndexVersionGoneError:
        """The error about a version that the index does not know."""
        return cls("there is no such index version", metadata={"index_version": index_version_uid})


class IndexDamagedError(UnavailableError):
    """The store of the index version is damaged; it is made anew from the stored texts."""

    reason = "INDEX_DAMAGED"


class HeadsStaleError(UnavailableError):
    """This replica has lost the stream of heads and will not guess about restricted documents."""

    reason = "HEADS_STALE"


class EncoderNotFoundError(NotFoundError):
    """No encoder of that name is configured."""

    reason = "ENCODER_NOT_FOUND"


class EncoderChangedError(PreconditionError):
    """Another model answers under the remote encoder's name; its vectors are not comparable."""

    reason = "ENCODER_CHANGED"


class EmbedderOverloadedError(ExhaustedError):
    """The embedding queue is full; retry after the given delay."""

    reason = "EMBEDDER_OVERLOADED"
