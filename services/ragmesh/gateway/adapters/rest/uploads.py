"""Documents as they come in over HTTP: files of a form, or JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from ragmesh.chassis.executors import Executor
from ragmesh.core.callers import Access
from ragmesh.core.documents import MAX_UPLOADS, Upload
from ragmesh.core.errors import InvalidError
from ragmesh.core.metadata import MAX_METADATA_BYTES, Metadata
from ragmesh.gateway.adapters.rest.bodies import DocumentBody, DocumentsBody
from ragmesh.gateway.adapters.rest.context import parse_json
from ragmesh.gateway.adapters.rest.problems import invalid_model
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import refuse_count, refuse_size

FORM = "multipart/form-data"
JSON = "application/json"
_FIELDS = frozenset({"file", "metadata", "document_id", "access"})
_LARGE_BYTES = 256 * 1024
"""Smaller bodies are decoded faster than a thread is woken."""


async def read_uploads(request: Request, *, pool: Executor, limits: GatewayLimits) -> list[Upload]:
    """The documents of a request, whichever way they come."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        async with _form(request) as fields:
            return await _from_form(fields, limits)
    if kind != JSON:
        raise HTTPException(415, f"content-type must be {FORM} or {JSON}")
    body = await request.body()
    if len(body) < _LARGE_BYTES:
        return _from_json(body)
    return await pool.run(_from_json, body)


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    parsing = request.form(
        max_files=MAX_UPLOADS, max_fields=len(_FIELDS), max_part_size=2 * MAX_METADATA_BYTES
    )
    try:
        fields = await parsing
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            refuse_count(MAX_UPLOADS + 1, field="file")
        raise
    try:
        yield fields
    finally:
        await fields.close()


def _from_json(body: bytes) -> list[Upload]:
    value = parse_json(body, field="body")
    try:
        if isinstance(value, dict) and "documents" in value:
            documents = value["documents"]
            if isinstance(documents, list):
                refuse_count(len(documents))
            return _numbered(DocumentsBody.model_validate(value).documents)
        return [DocumentBody.model_validate(value).upload()]
    except ValidationError as error:
        raise invalid_model(error) from None


def _numbered(documents: list[DocumentBody]) -> list[Upload]:
    uploads = []
    for position, document in enumerate(documents):
        try:
            uploads.append(document.upload())
        except InvalidError as error:
            raise type(error)(
                f"documents[{position}].{error.message}",
                metadata=error.metadata,
                violations=[
                    type(one)(f"documents[{position}].{one.field}", one.message)
                    for one in error.violations
                ],
            ) from None
    return uploads


async def _from_form(form: FormData, limits: GatewayLimits) -> list[Upload]:
    for name in form:
        if name not in _FIELDS:
            raise InvalidError.of(name[:80], "is not a field of this form")
    files = form.getlist("file")
    refuse_count(len(files), field="file")
    document_id = _text(form, "document_id")
    if document_id is not None and len(files) > 1:
        raise InvalidError.of("document_id", "must come with one file only")
    metadata = _metadata(_text(form, "metadata"))
    access = _access(_text(form, "access"))
    uploads = []
    for file in files:
        if not isinstance(file, UploadFile):
            raise InvalidError.of("file", "must be a file with a name")
        refuse_size(file.size or 0, file_bytes=limits.file_bytes, field=file.filename or "file")
        uploads.append(
            Upload(
                content=await file.read(),
                document_id=document_id,
                filename=file.filename or "",
                content_type=file.content_type or "",
                metadata=metadata,
                access=access,
            )
        )
    return uploads


def _text(form: FormData, name: str) -> str | None:
    values = form.getlist(name)
    if not values:
        return None
    if len(values) > 1 or not isinstance(values[0], str):
        raise InvalidError.of(name, "must be one text")
    return values[0]


def _metadata(text: str | None) -> Metadata:
    value: Any = {} if text is None else parse_json(text, field="metadata")
    if not isinstance(value, dict):
        raise InvalidError.of("metadata", "must be a JSON object")
    return Metadata.parse(value)


def _access(text: str | None) -> Access | None:
    value: Any = None if text is None else parse_json(text, field="access")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise InvalidError.of("access", "must be a JSON list of groups, or null")
    return Access(tuple(value))
