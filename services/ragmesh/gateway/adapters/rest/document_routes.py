"""Where the calls about documents are found, and how they are described."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from ragmesh.gateway.adapters.rest.context import Context, problems
from ragmesh.gateway.adapters.rest.document_replies import (
    AcceptedReply,
    DocumentReply,
    DocumentsReply,
    RevisionsReply,
    TextReply,
    UploadedReply,
)
from ragmesh.gateway.adapters.rest.documents import DocumentEndpoints

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
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: str
    endpoint: Callable[..., Any]
    summary: str
    reply: type[BaseModel] | None
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
            **problems(404, 409, 413, 415),
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
        responses={**problems(404), 200: {"content": _BYTES}},
        summary="Get the original bytes of a document",
    )
    for route in _routes(calls):
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            status_code=route.status,
            response_model=route.reply,
            responses=problems(404),
            summary=route.summary,
        )
    return router


def _routes(calls: DocumentEndpoints) -> tuple[_Route, ...]:
    one = "/{document_id}"
    revisions = one + "/revisions"
    restoring = revisions + "/{revision}:restore"
    return (
        _Route("GET", "", calls.list, "List documents", DocumentsReply),
        _Route("GET", one, calls.get, "Show a document", DocumentReply),
        _Route("PATCH", one, calls.update, "Change a document", AcceptedReply, 202),
        _Route("DELETE", one, calls.delete, "Delete a document", AcceptedReply, 202),
        _Route("GET", one + "/text", calls.text, "Get the text of a document", TextReply),
        _Route("GET", revisions, calls.revisions, "List revisions", RevisionsReply),
        _Route("POST", restoring, calls.restore, "Restore a revision", AcceptedReply, 202),
    )
