"""Errors of making, reading and restoring backups."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    ConflictError,
    InternalError,
    NotFoundError,
    PreconditionError,
)


class BackupNotFoundError(NotFoundError):
    """There is no finished backup at the place: one that was broken off has no manifest."""

    reason = "BACKUP_NOT_FOUND"


class BackupDamagedError(InternalError):
    """A part of a backup is missing or not what the manifest promises; the message names it."""

    reason = "BACKUP_DAMAGED"


class BackupUnsettledError(ConflictError):
    """Files of the catalog's copy went away while they were copied, again and again."""

    reason = "BACKUP_UNSETTLED"


class RestoreRefusedError(PreconditionError):
    """A backup is restored into empty stores only, and one of these is not."""

    reason = "RESTORE_REFUSED"
