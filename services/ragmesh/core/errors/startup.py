"""Errors that keep a process from starting, or its stores from working."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    ExhaustedError,
    InternalError,
    PreconditionError,
    UnavailableError,
)


class InvalidSettingsError(PreconditionError):
    """A setting has a value that is not allowed, or two settings contradict each other."""

    reason = "INVALID_SETTINGS"


class UnknownSettingError(PreconditionError):
    """A setting or RAGMESH_ variable exists that no section declares."""

    reason = "UNKNOWN_SETTING"


class PortInUseError(PreconditionError):
    """Another process listens on the address."""

    reason = "PORT_IN_USE"


class StoreInUseError(PreconditionError):
    """Another process holds the lock of a store file."""

    reason = "DATA_DIRECTORY_IN_USE"


class StoreUnusableError(PreconditionError):
    """A store's folder cannot be made or written."""

    reason = "DATA_DIRECTORY_UNUSABLE"


class NewerFormatError(PreconditionError):
    """A store was written by a newer version of ragmesh."""

    reason = "DATA_FROM_NEWER_VERSION"


class OlderSchemaError(PreconditionError):
    """The catalog's database has an older schema; `ragmesh migrate` brings it to this version."""

    reason = "CATALOG_NOT_MIGRATED"


class ModelMissingError(PreconditionError):
    """The encoder's files are not there; the message says the command that makes them."""

    reason = "MODEL_MISSING"


class ModelCorruptError(PreconditionError):
    """The encoder's files are not the ones their checksum promises."""

    reason = "MODEL_CORRUPT"


class ParsersNotSealedError(PreconditionError):
    """The processes that read foreign files cannot be sealed here; the message names why."""

    reason = "PARSERS_NOT_SEALED"


class LoopEndedError(InternalError):
    """A loop that runs as long as the process has ended; the log says why, the process stops."""

    reason = "LOOP_ENDED"


class StoreDamagedError(InternalError):
    """A store file cannot be read as its format promises."""

    reason = "STORE_DAMAGED"


class StorageFullError(ExhaustedError):
    """The disk has no room left; nothing of the request was kept."""

    reason = "STORAGE_FULL"


class StorageFailedError(UnavailableError):
    """The disk failed to read or write what it should; the log tells how."""

    reason = "STORAGE_FAILED"


class StoreUnavailableError(UnavailableError):
    """A backing server cannot be reached, or did not answer in time; the message names it."""

    reason = "STORE_UNAVAILABLE"


class StoreRefusedError(UnavailableError):
    """A backing server refuses this process, or is not set up as it must be; the message tells."""

    reason = "STORE_REFUSED"
