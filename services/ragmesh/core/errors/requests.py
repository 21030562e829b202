"""Errors about requests."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    PreconditionError,
)


class InvalidNameError(InvalidError):
    """A tenant, collection or document name is outside its alphabet or length."""

    reason = "INVALID_NAME"


class EmptyQuestionError(InvalidError):
    """The question is empty or holds only white space."""

    reason = "EMPTY_QUESTION"


class QuestionTooLongError(InvalidError):
    """The question is longer than the limit in its metadata."""

    reason = "QUESTION_TOO_LONG"


class ControlCharactersError(InvalidError):
    """A text holds control characters or lone surrogates."""

    reason = "CONTROL_CHARACTERS"


class InvalidLimitError(InvalidError):
    """A limit or page size is outside its range."""

    reason = "INVALID_LIMIT"


class InvalidPageTokenError(InvalidError):
    """A page token was not made by this listing."""

    reason = "INVALID_PAGE_TOKEN"


class InvalidFilterError(InvalidError):
    """A filter tree is malformed, too deep or too large."""

    reason = "INVALID_FILTER"


class InvalidMetadataError(InvalidError):
    """A document's metadata cannot be stored or does not fit the declared sortable fields."""

    reason = "INVALID_METADATA"


class FieldNotSortableError(PreconditionError):
    """A range was asked of a field that is not declared sortable, or not yet filled."""

    reason = "FIELD_NOT_SORTABLE"


class EmptyTextError(InvalidError):
    """A text to embed is empty; the metadata holds its position."""

    reason = "EMPTY_TEXT"


class TextTooLongError(InvalidError):
    """A passage is longer than the encoder's window; nothing is cut silently."""

    reason = "TEXT_TOO_LONG"


class BatchTooLargeError(InvalidError):
    """A request holds more items than the limit in its metadata."""

    reason = "BATCH_TOO_LARGE"


class NotUtf8Error(InvalidError):
    """A text of the request is not UTF-8."""

    reason = "NOT_UTF8"


class UnsupportedMediaTypeError(InvalidError):
    """The body is of a media type that this route does not take."""

    reason = "UNSUPPORTED_MEDIA_TYPE"


class InvalidIdempotencyKeyError(InvalidError):
    """An idempotency key is empty, too long or not printable ASCII."""

    reason = "INVALID_IDEMPOTENCY_KEY"


class IdempotencyKeyReusedError(AlreadyExistsError):
    """The idempotency key was used for another request; nothing was changed."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class IdempotencyKeyInUseError(ConflictError):
    """The first request with this idempotency key is still under way; ask again."""

    reason = "IDEMPOTENCY_KEY_IN_USE"
