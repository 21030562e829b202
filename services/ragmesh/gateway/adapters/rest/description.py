"""The OpenAPI description, made exact where FastAPI cannot know: errors, headers, filters, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from ragmesh.core.errors import RagmeshError, error_classes
from ragmesh.gateway.adapters.rest.bodies import DocumentBody, DocumentsBody
from ragmesh.gateway.adapters.rest.filter_schema import FILTER_SCHEMA
from ragmesh.gateway.adapters.rest.openai.errors import OpenAiError
from ragmesh.gateway.adapters.rest.problems import Problem, problem_example
from ragmesh.gateway.adapters.rest.refusals import FAILURE
from ragmesh.gateway.authorization import EVERYBODY, roles_of_route

ABOUT = (
    "Answers questions over an organisation's own documents, with citations. Errors are "
    "application/problem+json with a stable reason."
)
TAGS = [
    {"name": "Questions", "description": "Ask and search."},
    {"name": "Collections", "description": "Sets of documents that share one encoder."},
    {"name": "Documents", "description": "What answers are made from, with its revisions."},
    {"name": "Jobs", "description": "Work that goes on after a request was answered."},
    {"name": "OpenAI-compatible", "description": "Questions and vectors for OpenAI's clients."},
    {"name": "Administration", "description": "The mesh itself."},
    {"name": "Process", "description": "Whether the process lives and serves."},
]
_CHANGING = frozenset({"post", "patch", "delete"})
_UNKEYED = (
    "/ask",
    "/search",
    ":estimate",
    ":replay",
    ":repair",
    ":release",
    "/chat/completions",
    "/embeddings",
)
"""Ends of paths that change nothing, or nothing more when they are asked for again."""
_RETRIED = ("429", "503")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_FILTER = {"$ref": "#/components/schemas/Filter"}
_PARAMETERS = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
        "description": "The same request with the same key is done once and answered the same for "
        "24 hours; another request with it is refused with 409.",
        "example": "4f9d2a1e-upload-leave.md",
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "`ETag` of an earlier answer: 304 when it would be the same.",
        "example": '"pxJmwC1Yj0PZkDnQXyVrVbTd"',
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Id of the request: 1 to 128 letters, digits or one of . _ : -, the first a "
        "letter or digit. Any other is replaced by one of the mesh's own.",
        "example": "0198c2a0-7d00-7000-8000-000000000001",
    },
}
_STREAMS = {"text/event-stream"}
_HEADERS = {
    "ETag": {
        "schema": {"type": "string"},
        "description": "Tag of exactly this answer to this caller, for `If-None-Match`.",
    },
    "RequestId": {
        "schema": {"type": "string"},
        "description": "Id of the request, as in logs and traces.",
    },
    "RetryAfter": {
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "description": "Seconds after which the same request may succeed.",
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "What the caller has left of each of its limits; missing where it has none.",
        "example": '"key";r=598;t=60',
    },
    "RateLimitPolicy": {
        "schema": {"type": "string"},
        "description": "The limits themselves; missing where the caller has none.",
        "example": '"key";q=600;w=60',
    },
}
_SECURITY = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, as `ragmesh keys create` makes it. Developer mode asks for "
        "none.",
    }
}


def operation_name(route: APIRoute) -> str:
    """The operation's id: its summary without articles, as one word."""
    words = _ARTICLES.sub("", str(route.summary or route.name).lower())
    return "_".join(re.findall(r"[a-z0-9]+", words))


class RestApp(FastAPI):
    """FastAPI whose description tells the truth about errors, and whose errors the door answers."""

    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's last resort, which would answer defects in a shape of its own."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack

    def openapi(self) -> dict[str, Any]:
        """The description, with everything that a client can meet and nothing else."""
        if not self.openapi_schema:
            _complete(super().openapi())
        return super().openapi()


def _complete(description: dict[str, Any]) -> None:
    components = description["components"]
    _complete_schemas(components["schemas"])
    components["securitySchemes"] = _SECURITY
    components["parameters"] = _PARAMETERS
    components["headers"] = _HEADERS
    documented: set[str] = set()
    for path, method, operation in operations(description):
        operation["responses"].pop("422", None)
        _add_parameters(path, method, operation)
        of_users = roles_of_route(method.upper(), path) != EVERYBODY
        _add_conditions(method, operation)
        _add_headers(operation, limited=of_users)
        documented |= reasons_of(operation)
        if of_users:
            operation["security"] = [{"key": []}]
    classes = error_classes()
    components["examples"] = {reason: _example(classes[reason]) for reason in sorted(documented)}


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its path and method."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def reasons_of(operation: dict[str, Any]) -> set[str]:
    """The reasons that an operation's answers may give."""
    return {
        reason
        for status, answer in operation["responses"].items()
        for media in answer.get("content", {}).values()
        if not status.startswith("2")
        for reason in _reasons_of_schema(media["schema"])
    }


def _reasons_of_schema(schema: dict[str, Any]) -> list[str]:
    """The reasons that an error answer is narrowed to, whichever shape it has."""
    fields = schema.get("allOf", [{}])[-1].get("properties", {})
    fields = fields.get("error", {}).get("properties", fields)
    reasons: list[str] = fields.get("reason", {}).get("enum", [])
    return reasons


def _complete_schemas(schemas: dict[str, Any]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (Problem, OpenAiError, DocumentBody, DocumentsBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    # Read one by one, so that a wrong one is refused by itself.
    listed = schemas[DocumentsBody.__name__]["properties"]["documents"]
    listed["items"] = {"$ref": f"#/components/schemas/{DocumentBody.__name__}"}
    schemas["Filter"] = FILTER_SCHEMA
    failures = sorted({error.reason for error in FAILURE})
    schemas["ErrorReply"]["properties"]["reason"]["enum"] = failures
    for schema in schemas.values():
        found = schema.get("properties", {}).get("filter")
        if found is not None:
            found["anyOf"] = [_FILTER, {"type": "null"}]


def _add_parameters(path: str, method: str, operation: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if (parameter["in"], parameter["name"]) == ("query", "filter"):
            parameter["content"] = {"application/json": {"schema": _FILTER}}
            del parameter["schema"]
    parameters.append({"$ref": "#/components/parameters/RequestId"})
    if method in _CHANGING and not path.endswith(_UNKEYED):
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})


def _add_conditions(method: str, operation: dict[str, Any]) -> None:
    """A read can be asked for only if it has changed."""
    answers = operation["responses"]
    if method != "get" or not answers["200"].get("content", {}).keys() - _STREAMS:
        return
    operation["parameters"].append({"$ref": "#/components/parameters/IfNoneMatch"})
    answers["304"] = {"description": "Nothing has changed since that tag."}
    for status in ("200", "304"):
        headers = answers[status].setdefault("headers", {})
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}


def _add_headers(operation: dict[str, Any], *, limited: bool) -> None:
    for status, answer in operation["responses"].items():
        headers = answer.setdefault("headers", {})
        headers["X-Request-Id"] = {"$ref": "#/components/headers/RequestId"}
        if limited:
            headers["RateLimit"] = {"$ref": "#/components/headers/RateLimit"}
            headers["RateLimit-Policy"] = {"$ref": "#/components/headers/RateLimitPolicy"}
        if status in _RETRIED:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}


def _example(error: type[RagmeshError]) -> dict[str, Any]:
    example = problem_example(error)
    return {"summary": example["title"], "value": example}
