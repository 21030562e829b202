"""Where the calls about documents are found, and how they are described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from ragmesh.core.errors import RevisionNotFoundError, TextNotReadyError
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.document_replies import (
    AcceptedReply,
    DocumentReply,
    DocumentsReply,
    RevisionsReply,
    TextReply,
    UploadedReply,
)
from ragmesh.gateway.adapters.rest.documents import DocumentEndpoints
from ragmesh.gateway.adapters.rest.refusals import (
    CHANGE,
    DOCUMENT,
    DOCUMENT_FIELDS,
    FILTER,
    PAGE,
    UPLOAD,
    Errors,
    problems,
)

_FORM_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "One or more files.",
        },
        "metadata": {"type": "string", "description": "A JSON object, for every file."},
        "document_id": {"type": "string", "description": "With one file only."},
        "access": {"type": "string", "description": "A JSON list of groups, or null."},
    },
    "example": {
        "file": ["# Leave\n\nA new colleague has 28 days of leave."],
        "metadata": '{"lang": "en"}',
        "document_id": "leave.md",
    },
}
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/DocumentBody"},
                        {"$ref": "#/components/schemas/DocumentsBody"},
                    ]
                }
            },
            "multipart/form-data": {"schema": _FORM_SCHEMA},
        },
    }
}
_BYTES = {
    "*/*": {
        "schema": {"type": "string", "format": "binary"},
        "example": "# Leave\n\nA new colleague has 28 days of leave.",
    }
}


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    endpoint: Callable[..., Any]
    summary: str
    reply: type[BaseModel]
    errors: Errors
    status: int = 200


def document_router(context: Context) -> APIRouter:
    """The routes."""
    calls = DocumentEndpoints(context)
    router = APIRouter(prefix="/collections/{collection}/documents", tags=["Documents"])
    router.add_api_route(
        "",
        calls.create,
        methods=["POST"],
        status_code=202,
        response_model=UploadedReply,
        responses={
            **problems(*UPLOAD),
            200: {"model": UploadedReply, "description": "Every job has ended."},
        },
        summary="Upload documents",
        openapi_extra=_UPLOAD_BODY,
    )
    router.add_api_route(
        "/{document_id}/content",
        calls.content,
        methods=["GET"],
        response_class=Response,
        responses={
            **problems(*DOCUMENT, RevisionNotFoundError),
            200: {"content": _BYTES, "description": "The bytes, as an attachment."},
        },
        summary="Get the original bytes of a document",
    )
    for route in _routes(calls):
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            status_code=route.status,
            response_model=route.reply,
            responses=problems(*route.errors),
            summary=route.summary,
        )
    return router


def _routes(calls: DocumentEndpoints) -> tuple[_Route, ...]:
    one = "/{document_id}"
    revisions = one + "/revisions"
    restoring = revisions + "/{revision}:restore"
    of_revision = (*DOCUMENT, RevisionNotFoundError)
    found, text = (*DOCUMENT, *FILTER, *PAGE), (*of_revision, TextNotReadyError)
    changed, deleted = (*DOCUMENT, *DOCUMENT_FIELDS), (*DOCUMENT, *CHANGE)
    restored = (*of_revision, *CHANGE)
    return (
        _Route("GET", "", calls.list, "List documents", DocumentsReply, found),
        _Route("GET", one, calls.get, "Show a document", DocumentReply, DOCUMENT),
        _Route("PATCH", one, calls.update, "Change a document", AcceptedReply, changed, 202),
        _Route("DELETE", one, calls.delete, "Delete a document", AcceptedReply, deleted, 202),
        _Route("GET", one + "/text", calls.text, "Get the text of a document", TextReply, text),
        _Route(
            "GET", revisions, calls.revisions, "List revisions", RevisionsReply, (*DOCUMENT, *PAGE)
        ),
        _Route(
            "POST", restoring, calls.restore, "Restore a revision", AcceptedReply, restored, 202
        ),
    )
