"""Errors over HTTP: RFC 9457 problems with the reason that gRPC gives too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from ragmesh.chassis.problems import PROBLEM_TYPE, problem_fields, retry_after
from ragmesh.chassis.requests import current_request_id
from ragmesh.chassis.wire import as_mesh_error, http_status
from ragmesh.core.errors import (
    InvalidError,
    NotFoundError,
    RagmeshError,
    UnsupportedError,
    UnsupportedMediaTypeError,
    UnsupportedParameterError,
    Violation,
)
from ragmesh.gateway.adapters.rest.openai.errors import UNSUPPORTED, error_of, speaks_openai

_MAX_FIELD_CHARACTERS = 200
"""Fields are named by who sends them."""
_UNPARSED = "There was an error parsing the body"
"""What FastAPI says of a body on which its JSON parser failed otherwise than on the syntax."""
MAX_VIOLATIONS = 20
"""A body may break a rule a thousand times over; the first ones say enough."""


class FieldProblem(BaseModel):
    """One field of the request and what is wrong with it."""

    field: str = Field(description="Where it stands, such as `documents[3].metadata`.")
    message: str = Field(description="What it must be.")


_EXAMPLE: dict[str, Any] = {
    "type": "https://ragmesh.dev/errors/EMPTY_QUESTION",
    "title": "The question is empty or holds only white space.",
    "status": 400,
    "detail": "question must not be blank",
    "reason": "EMPTY_QUESTION",
    "request_id": "0198c2a0-7d00-7000-8000-000000000001",
    "errors": [{"field": "question", "message": "must not be blank"}],
}


class Problem(BaseModel):
    """Why a request was not done."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    type: str = Field(description="URI of the kind of problem; ends in the reason.")
    title: str = Field(description="What this kind of problem means.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened this time.")
    reason: str = Field(description="Stable reason, the same as over gRPC.")
    request_id: str = Field(description="Id of the request, as in logs and traces.")
    errors: list[FieldProblem] = Field(description="The fields at fault, if any.")


def problem_example(error: type[RagmeshError]) -> dict[str, Any]:
    """A problem of this class, as it may look."""
    claim = " ".join((error.__doc__ or error.reason).strip().split("\n\n")[0].split())
    made = problem_of(error(claim))
    return made.model_dump() | {"request_id": _EXAMPLE["request_id"]}


def openai_example(error: type[RagmeshError]) -> dict[str, Any]:
    """An error as OpenAI's clients may be told it."""
    told = error_of(error(problem_example(error)["detail"]), request_id=_EXAMPLE["request_id"])
    return told.model_dump()


def problem_of(error: RagmeshError, *, status: int | None = None) -> Problem:
    """The problem that describes an error."""
    fields = problem_fields(error, request_id=current_request_id(), status=status)
    return Problem.model_validate(fields)


def problem_response(
    error: RagmeshError, path: str, *, status: int | None = None, allow: str | None = None
) -> Response:
    """The response that tells the error, in the shape that clients of this path understand."""
    status = http_status(error) if status is None else status
    headers = {} if allow is None else {"Allow": allow}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    later = retry_after(error, status)
    if later is not None:
        headers["Retry-After"] = later
    if speaks_openai(path):
        told: BaseModel = error_of(error, request_id=current_request_id())
        return Response(told.model_dump_json(), status, headers, "application/json")
    problem = problem_of(error, status=status)
    return Response(problem.model_dump_json(), status, headers, PROBLEM_TYPE)


def invalid_body(errors: Sequence[Any]) -> InvalidError:
    """One error for everything that pydantic found wrong with a request."""
    violations = [
        Violation(_field_of(error["loc"]), _message_of(error)) for error in errors[:MAX_VIOLATIONS]
    ]
    first = violations[0]
    kind = UnsupportedParameterError if errors[0]["type"] == UNSUPPORTED else InvalidError
    return kind(f"{first.field}: {first.message}", violations=violations)


def invalid_model(error: ValidationError) -> InvalidError:
    """The same for a body that was validated by hand."""
    return invalid_body(error.errors(include_url=False, include_context=False))


async def on_mesh_error(request: Request, error: Exception) -> Response:
    """Answer an error of the mesh, and anything unexpected as INTERNAL."""
    return problem_response(as_mesh_error(error), request.url.path)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer what FastAPI found wrong with a request."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    # A body of another media type is not parsed, and then fails as the text that it is.
    unparsed = any(one["loc"] == ("body",) and isinstance(one["input"], bytes) for one in found)
    if unparsed and not _is_json(request.headers.get("content-type", "")):
        wrong = UnsupportedMediaTypeError("content-type must be application/json")
        return problem_response(wrong, request.url.path)
    return problem_response(invalid_body(found), request.url.path)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router and the parsers of bodies raise."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else ""
    headers = error.headers if isinstance(error, HTTPException) else None
    path = request.url.path
    match status:
        case 404:
            return problem_response(NotFoundError("there is nothing at this path"), path)
        case 405:
            allow = (headers or {}).get("Allow")
            wrong = UnsupportedError("this path does not know that method")
            return problem_response(wrong, path, status=405, allow=allow)
        case 400 if detail == _UNPARSED:
            return problem_response(InvalidError.of("body", "must be JSON"), path)
        case _ if status < 500:
            return problem_response(InvalidError(detail), path, status=status)
        case _:
            return problem_response(as_mesh_error(error), path)


def _field_of(location: Sequence[str | int]) -> str:
    """`("body", "history", 0, "role")` is `history[0].role`; the body itself is `body`."""
    parts = list(location)
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    if parts and isinstance(parts[0], int):
        return "body"  # position of a syntax error
    named = ""
    for part in parts:
        named += f"[{part}]" if isinstance(part, int) else f".{part}" if named else str(part)
    return named[:_MAX_FIELD_CHARACTERS] or "body"


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _message_of(error: Any) -> str:
    """pydantic's sentence without a capital, and never with the value that was sent."""
    if error["type"] == "extra_forbidden":
        return "is not a field of this request"
    if error["type"] == "json_invalid":
        return "must be JSON"
    message = str(error["msg"])
    return message[:1].lower() + message[1:]
