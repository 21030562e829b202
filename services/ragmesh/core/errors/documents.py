"""Errors about collections, documents and jobs."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
    PreconditionError,
)


class CollectionNotFoundError(NotFoundError):
    """There is no such collection for this caller."""

    reason = "COLLECTION_NOT_FOUND"


class CollectionExistsError(AlreadyExistsError):
    """The tenant already has a collection of that name."""

    reason = "COLLECTION_EXISTS"


class DocumentNotFoundError(NotFoundError):
    """There is no such document for this caller."""

    reason = "DOCUMENT_NOT_FOUND"


class RevisionNotFoundError(NotFoundError):
    """The document has no such revision."""

    reason = "REVISION_NOT_FOUND"


class TextNotReadyError(PreconditionError):
    """The revision's text has not been extracted yet, or could not be."""

    reason = "TEXT_NOT_READY"


class JobNotFoundError(NotFoundError):
    """There is no such job for this caller."""

    reason = "JOB_NOT_FOUND"


class DeadLetterNotFoundError(NotFoundError):
    """There is no such dead letter for this caller, or its work is done by now."""

    reason = "DEAD_LETTER_NOT_FOUND"


class JobFinishedError(PreconditionError):
    """The job has already ended and cannot be cancelled."""

    reason = "JOB_FINISHED"


class SupersededError(ConflictError):
    """A newer revision or attribute generation exists; the worker reads again."""

    reason = "SUPERSEDED"


class JobCancelledError(ConflictError):
    """The job was cancelled while it was being worked on."""

    reason = "JOB_CANCELLED"


class UndecodableEventError(InvalidError):
    """The bytes are no event of the topic's schema, or one without what it must name."""

    reason = "UNDECODABLE_EVENT"


class EmptyFileError(InvalidError):
    """The uploaded file has no bytes."""

    reason = "EMPTY_FILE"


class InvalidFilenameError(InvalidError):
    """The name of a file is longer than the limit in the metadata."""

    reason = "INVALID_FILENAME"


class FormBrokenError(InvalidError):
    """A form is malformed, or broke off before its end; nothing of it was taken."""

    reason = "FORM_BROKEN"


class FileTooLargeError(InvalidError):
    """The uploaded file is larger than the limit in the metadata."""

    reason = "FILE_TOO_LARGE"


class PathUnreadableError(InvalidError):
    """A file or folder given to the command line is not there or cannot be read."""

    reason = "PATH_UNREADABLE"


class BodyTooLargeError(InvalidError):
    """The request's body is larger than the limit in the metadata."""

    reason = "BODY_TOO_LARGE"


class BodyTooSlowError(InvalidError):
    """The rest of the request's body did not come in time."""

    reason = "BODY_TOO_SLOW"
