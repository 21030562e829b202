"""Errors of the doors: developer mode, and limits."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    DeadlineError,
    DeniedError,
    ExhaustedError,
    InvalidError,
    UnavailableError,
)


class ForeignHostError(DeniedError):
    """In developer mode only a loopback Host is served."""

    reason = "FOREIGN_HOST"


class ForeignOriginError(DeniedError):
    """In developer mode a page of another origin may not call the mesh."""

    reason = "FOREIGN_ORIGIN"


class FormHeaderMissingError(DeniedError):
    """A form upload from a browser page needs the header `X-Ragmesh: 1`."""

    reason = "FORM_HEADER_MISSING"


class MalformedHttpError(InvalidError):
    """The bytes are no request of HTTP/1.1, or one that two readers could read differently."""

    reason = "MALFORMED_HTTP"


class HeadersTooLargeError(InvalidError):
    """The request's line and headers are more, or larger, than the limit in the metadata."""

    reason = "HEADERS_TOO_LARGE"


class HeadersTooSlowError(InvalidError):
    """The request's line and headers did not come in time."""

    reason = "HEADERS_TOO_SLOW"


class ConnectionsExceededError(UnavailableError):
    """The server has as many connections open as it takes."""

    reason = "CONNECTIONS_EXCEEDED"


class RateLimitedError(ExhaustedError):
    """The key or tenant in the metadata has sent as many requests as it may in a minute."""

    reason = "RATE_LIMITED"


class InFlightLimitedError(ExhaustedError):
    """The key or tenant in the metadata has as many requests under way as it may."""

    reason = "IN_FLIGHT_LIMITED"


class UploadLimitedError(ExhaustedError):
    """The key or tenant in the metadata has uploaded as many bytes as it may in a minute."""

    reason = "UPLOAD_LIMITED"


class OverloadedError(ExhaustedError):
    """The gateway has as much under way as it can do, or as one caller may hold of that."""

    reason = "OVERLOADED"


class ReaderTooSlowError(DeadlineError):
    """The reader of a stream took nothing for too long, and the stream was ended."""

    reason = "READER_TOO_SLOW"
