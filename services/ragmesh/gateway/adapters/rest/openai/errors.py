"""Errors as OpenAI's clients read them; the reason is the one of every other door."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from pydantic import BaseModel, Field

from ragmesh.core.errors import (
    CollectionNotFoundError,
    EncoderNotFoundError,
    InvalidError,
    Kind,
    ModelNotFoundError,
    QuestionTooLongError,
    RagmeshError,
    TextTooLongError,
    Violation,
)

PREFIX = "/v1"
UNSUPPORTED = "unsupported_parameter"
"""Type of pydantic's error for what answers from documents do not have."""
_MODEL = "model_not_found"
_TOO_LONG = "context_length_exceeded"
_CODES = MappingProxyType(
    {
        ModelNotFoundError.reason: _MODEL,
        CollectionNotFoundError.reason: _MODEL,
        EncoderNotFoundError.reason: _MODEL,
        QuestionTooLongError.reason: _TOO_LONG,
        TextTooLongError.reason: _TOO_LONG,
    }
)
"""Codes that programs written for OpenAI look for; any other is the reason in small letters."""
_CODES_BY_KIND = MappingProxyType(
    {Kind.UNAUTHENTICATED: "invalid_api_key", Kind.EXHAUSTED: "rate_limit_exceeded"}
)
_TYPES = MappingProxyType(
    {
        Kind.EXHAUSTED: "rate_limit_error",
        Kind.UNAVAILABLE: "server_error",
        Kind.DEADLINE: "server_error",
        Kind.INTERNAL: "server_error",
    }
)


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str = Field(description="What happened this time.")
    type: str = Field(description="`invalid_request_error`, `rate_limit_error` or `server_error`.")
    param: str | None = Field(description="The parameter at fault, such as `messages[0].content`.")
    code: str = Field(description="OpenAI's code where it has one, else the reason.")
    reason: str = Field(description="Stable reason, the same as over REST and gRPC.")
    request_id: str = Field(description="Id of the request, as in logs and traces.")


class OpenAiError(BaseModel):
    """Why a request was not done, or why a stream broke off."""

    error: ErrorBody

    def encoded(self) -> bytes:
        """The error as a stream's last event."""
        return f"data: {self.model_dump_json()}\n\n".encode()


def speaks_openai(path: str) -> bool:
    """Whether clients of this path expect errors in OpenAI's shape."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def error_of(error: RagmeshError, *, request_id: str) -> OpenAiError:
    """The error object that describes an error."""
    code = _CODES.get(error.reason)
    param = "model" if code == _MODEL else None
    if error.violations:
        param = error.violations[0].field
    return OpenAiError(
        error=ErrorBody(
            message=error.message,
            type=_TYPES.get(error.kind, "invalid_request_error"),
            param=param,
            code=code or _CODES_BY_KIND.get(error.kind, error.reason.lower()),
            reason=error.reason,
            request_id=request_id,
        )
    )


def renamed(error: InvalidError, name: Callable[[str], str]) -> InvalidError:
    """The error of a use case about the parameter that its field came from."""
    violations = [Violation(name(one.field), one.message) for one in error.violations]
    message = error.message
    for old, new in zip(error.violations, violations, strict=True):
        if message.startswith(old.field):
            message = new.field + message.removeprefix(old.field)
            break
    return type(error)(
        message,
        metadata=error.metadata,
        violations=violations,
        retry_after_seconds=error.retry_after_seconds,
    )
