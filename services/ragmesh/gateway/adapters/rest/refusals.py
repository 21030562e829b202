"""What a route may refuse, by the classes of the errors: the description's answers come from it.

A test holds the answers of all other tests against it, and every error of the tree stands in it or
is named there as one that no request gets.
"""

from __future__ import annotations

from typing import Any

from ragmesh.chassis.problems import PROBLEM_TYPE
from ragmesh.chassis.wire import http_status
from ragmesh.core.errors import (
    AlreadyExistsError,
    BatchTooLargeError,
    BodyTooLargeError,
    BodyTooSlowError,
    BudgetSpentError,
    CollectionNotFoundError,
    ConflictError,
    ConnectionsExceededError,
    ControlCharactersError,
    DeadlineError,
    DeniedError,
    DocumentNotFoundError,
    EmbedderOverloadedError,
    EmptyFileError,
    EmptyQuestionError,
    EmptyTextError,
    EncoderChangedError,
    EncoderNotFoundError,
    EncryptedFileError,
    ExhaustedError,
    FieldNotSortableError,
    FileTooLargeError,
    FingerprintMismatchError,
    ForeignHostError,
    ForeignOriginError,
    FormBrokenError,
    FormHeaderMissingError,
    HeadersTooLargeError,
    HeadersTooSlowError,
    HeadsStaleError,
    HostileFileError,
    IdempotencyKeyInUseError,
    IdempotencyKeyReusedError,
    IndexDamagedError,
    IndexVersionGoneError,
    InFlightLimitedError,
    InternalError,
    InvalidError,
    InvalidFilenameError,
    InvalidFilterError,
    InvalidIdempotencyKeyError,
    InvalidLimitError,
    InvalidMetadataError,
    InvalidNameError,
    InvalidPageTokenError,
    InvalidVectorError,
    JobCancelledError,
    KeyExpiredError,
    KeyInUrlError,
    KeyMalformedError,
    KeyMissingError,
    KeyRevokedError,
    KeysStaleError,
    KeyUnknownError,
    MalformedHttpError,
    ModelNotFoundError,
    NoTextError,
    NotFoundError,
    NotUtf8Error,
    OutputTooLargeError,
    OverloadedError,
    ParserCrashError,
    ParserMemoryError,
    ParsersBusyError,
    ParserTimeoutError,
    ParserUnavailableError,
    PeerUnavailableError,
    PreconditionError,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuestionTooLongError,
    QuotaExceededError,
    RagmeshError,
    RateLimitedError,
    RoutesStaleError,
    ScopeMissingError,
    StorageFailedError,
    StorageFullError,
    StoreDamagedError,
    StoreRefusedError,
    StoreUnavailableError,
    SupersededError,
    TextTooLongError,
    UnauthenticatedError,
    UnavailableError,
    UndecodableEventError,
    UnreadableFileError,
    UnsupportedError,
    UnsupportedFormatError,
    UnsupportedMediaTypeError,
    UnsupportedParameterError,
    UploadLimitedError,
    UsageSpoolFullError,
)
from ragmesh.gateway.adapters.rest.problems import openai_example

Errors = tuple[type[RagmeshError], ...]

ALWAYS: Errors = (
    InvalidError,
    InvalidIdempotencyKeyError,
    UnauthenticatedError,
    KeyMissingError,
    KeyMalformedError,
    KeyUnknownError,
    KeyRevokedError,
    KeyExpiredError,
    KeyInUrlError,
    KeysStaleError,
    DeniedError,
    ScopeMissingError,
    ForeignHostError,
    ForeignOriginError,
    FormHeaderMissingError,
    NotFoundError,
    MalformedHttpError,
    HeadersTooSlowError,
    HeadersTooLargeError,
    ConnectionsExceededError,
    BodyTooSlowError,
    BodyTooLargeError,
    ExhaustedError,
    RateLimitedError,
    InFlightLimitedError,
    OverloadedError,
    InternalError,
    StoreDamagedError,
    UnsupportedError,
    UnavailableError,
    PeerUnavailableError,
    StorageFailedError,
    StoreRefusedError,
    StoreUnavailableError,
    DeadlineError,
)
"""Of every route: the door, the router and whatever the mesh as a whole can suffer from."""
BODY: Errors = (UnsupportedMediaTypeError, NotUtf8Error)
"""Of a route with a body."""
CHANGE: Errors = (
    AlreadyExistsError,
    IdempotencyKeyReusedError,
    IdempotencyKeyInUseError,
    ConflictError,
    PreconditionError,
    StorageFullError,
)
"""Of a route that changes something."""
PAGE: Errors = (InvalidLimitError, InvalidPageTokenError)
COLLECTION: Errors = (InvalidNameError, CollectionNotFoundError)
DOCUMENT: Errors = (*COLLECTION, DocumentNotFoundError)
FILTER: Errors = (InvalidFilterError, FieldNotSortableError)
DOCUMENT_FIELDS: Errors = (*BODY, *CHANGE, InvalidMetadataError, ControlCharactersError)
UPLOAD: Errors = (
    *COLLECTION,
    *DOCUMENT_FIELDS,
    UploadLimitedError,
    QuotaExceededError,
    InvalidLimitError,
    EmptyFileError,
    FileTooLargeError,
    InvalidFilenameError,
    FormBrokenError,
    BatchTooLargeError,
)
SEARCH: Errors = (
    *COLLECTION,
    *BODY,
    *FILTER,
    InvalidLimitError,
    EmptyQuestionError,
    QuestionTooLongError,
    ControlCharactersError,
    EncoderNotFoundError,
    EncoderChangedError,
    FingerprintMismatchError,
    EmbedderOverloadedError,
    IndexVersionGoneError,
    IndexDamagedError,
    HeadsStaleError,
    RoutesStaleError,
    ProviderUnavailableError,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    BudgetSpentError,
    UsageSpoolFullError,
)
"""Of a search, and of a question with what writes its answer: both may ask a model elsewhere."""
MODEL: Errors = (ModelNotFoundError, CollectionNotFoundError)
COMPLETION: Errors = (*SEARCH, ModelNotFoundError, UnsupportedParameterError)
EMBEDDINGS: Errors = (
    *BODY,
    ModelNotFoundError,
    UnsupportedParameterError,
    BatchTooLargeError,
    ControlCharactersError,
    EmptyTextError,
    TextTooLongError,
    EncoderChangedError,
    EmbedderOverloadedError,
    ProviderUnavailableError,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
)

FAILURE: Errors = (
    *UPLOAD,
    UnsupportedFormatError,
    EncryptedFileError,
    UnreadableFileError,
    HostileFileError,
    NoTextError,
    ParserTimeoutError,
    ParserMemoryError,
    ParserCrashError,
    OutputTooLargeError,
    ParsersBusyError,
    ParserUnavailableError,
    EmptyTextError,
    TextTooLongError,
    InvalidVectorError,
    EncoderNotFoundError,
    EncoderChangedError,
    FingerprintMismatchError,
    EmbedderOverloadedError,
    IndexVersionGoneError,
    IndexDamagedError,
    ProviderUnavailableError,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    UndecodableEventError,
    JobCancelledError,
    SupersededError,
    InternalError,
    StoreDamagedError,
    StorageFailedError,
    UnavailableError,
    PeerUnavailableError,
    DeadlineError,
    ExhaustedError,
    InvalidError,
)
"""What a document of a batch was refused for, or what its job, or an event, ended with."""

_MEANINGS = {
    400: "The request is malformed, or the state forbids it.",
    401: "Nobody knows who asks.",
    403: "The caller may not do this, or the request could come from a page of elsewhere.",
    404: "What was named is not there, or not for this caller.",
    408: "The headers or the rest of the body did not come in time.",
    409: "The name is taken, or somebody else was faster.",
    413: "The body or a file is too large.",
    415: "The body is of a media type that is not taken.",
    431: "The headers are too many or too large.",
    429: "Too much at once; `Retry-After` says when to try again.",
    500: "A defect; the log describes it under the id in the detail.",
    501: "This mesh does not offer it.",
    503: "A part of the mesh is away; `Retry-After` says when to try again.",
    504: "Time ran out.",
}


def problems(*errors: type[RagmeshError]) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for its description; those of every route are in it."""
    return {status: _answer(status, found) for status, found in _by_status(errors)}


def openai_errors(*errors: type[RagmeshError]) -> dict[int | str, dict[str, Any]]:
    """The same of a route for OpenAI's clients."""
    return {status: _openai_answer(status, found) for status, found in _by_status(errors)}


def _by_status(errors: Errors) -> list[tuple[int, list[type[RagmeshError]]]]:
    by_status: dict[int, list[type[RagmeshError]]] = {}
    for error in dict.fromkeys((*ALWAYS, *errors)):
        by_status.setdefault(http_status(error), []).append(error)
    return sorted(by_status.items())


def _answer(status: int, errors: list[type[RagmeshError]]) -> dict[str, Any]:
    reasons = sorted(error.reason for error in errors)
    narrowed = {
        "type": "object",
        "properties": {"status": {"const": status}, "reason": {"enum": reasons}},
    }
    return {
        "description": _MEANINGS[status],
        "content": {
            PROBLEM_TYPE: {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]},
                "examples": {
                    reason: {"$ref": f"#/components/examples/{reason}"} for reason in reasons
                },
            }
        },
    }


def _openai_answer(status: int, errors: list[type[RagmeshError]]) -> dict[str, Any]:
    reason = {"enum": sorted(error.reason for error in errors)}
    narrowed = {"properties": {"error": {"properties": {"reason": reason}}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/OpenAiError"}, narrowed]}
    example = openai_example(errors[0])
    return {
        "description": _MEANINGS[status],
        "content": {"application/json": {"schema": schema, "example": example}},
    }
