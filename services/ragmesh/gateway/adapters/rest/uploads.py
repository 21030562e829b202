"""Documents as they come in over HTTP: files of a form, or JSON; each is readable by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from ragmesh.chassis.executors import Executor
from ragmesh.core.callers import Access
from ragmesh.core.documents import Accepted, Upload, UploadOutcome
from ragmesh.core.errors import InvalidError, RagmeshError, UnsupportedMediaTypeError, Violation
from ragmesh.core.metadata import MAX_METADATA_BYTES, Metadata
from ragmesh.gateway.adapters.rest.bodies import DocumentBody, DocumentsBody
from ragmesh.gateway.adapters.rest.context import parse_json
from ragmesh.gateway.adapters.rest.forms import Form, FormBounds, FormFile, read_form
from ragmesh.gateway.adapters.rest.problems import MAX_VIOLATIONS, invalid_model
from ragmesh.gateway.limits import GatewayLimits
from ragmesh.gateway.parsing import refuse_count, refuse_size

FORM = "multipart/form-data"
JSON = "application/json"
_FIELDS = frozenset({"metadata", "document_id", "access"})
_LARGE_BYTES = 256 * 1024
"""Smaller bodies are decoded faster than a thread is woken."""
Readable = Upload | InvalidError


@dataclass(frozen=True, slots=True)
class Incoming:
    """The documents of one request, and how a place among them is named."""

    uploads: tuple[Readable, ...]
    places: str | None
    """Name of the list that they stand in; None for the request that brings one document."""

    def refuse_all_refused(self, outcomes: tuple[UploadOutcome, ...]) -> None:
        """Raise one error for the request when none of its documents was accepted."""
        errors = [one for one in outcomes if isinstance(one, RagmeshError)]
        if len(errors) < len(outcomes):
            return
        first = errors[0]
        if self.places is None:
            raise first
        violations = [
            Violation(f"{self.places}[{position}].{one.field}", one.message)
            for position, error in enumerate(errors)
            for one in error.violations
        ]
        raise type(first)(
            f"{self.places}[0].{first.message}",
            metadata=first.metadata,
            violations=violations[:MAX_VIOLATIONS],
            retry_after_seconds=first.retry_after_seconds,
        )

    def refused_id(self, position: int) -> str | None:
        """The id under which a refused document was sent, if it could be read at all."""
        upload = self.uploads[position]
        return None if isinstance(upload, InvalidError) else upload.document_id


async def read_uploads(request: Request, *, pool: Executor, limits: GatewayLimits) -> Incoming:
    """The documents of a request, whichever way they come."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == FORM:
        bounds = FormBounds(_FIELDS, 2 * MAX_METADATA_BYTES, limits.file_bytes)
        async with read_form(content_type, request.stream(), bounds, pool) as form:
            return await _from_form(form, limits, pool)
    if kind != JSON:
        raise UnsupportedMediaTypeError(f"content-type must be {FORM} or {JSON}")
    body = await request.body()
    if len(body) < _LARGE_BYTES:
        return _from_json(body)
    return await pool.run(_from_json, body)


def _from_json(body: bytes) -> Incoming:
    value = parse_json(body, field="body")
    if isinstance(value, dict) and "documents" in value:
        documents = value["documents"]
        if isinstance(documents, list):
            refuse_count(len(documents))
        try:
            listed = DocumentsBody.model_validate(value).documents
        except ValidationError as error:
            raise invalid_model(error) from None
        return Incoming(tuple(_readable(document) for document in listed), "documents")
    upload = _readable(value)
    if isinstance(upload, InvalidError):
        raise upload
    return Incoming((upload,), None)


def _readable(document: Any) -> Readable:
    """One document, or what is wrong with it: the others are none the worse."""
    try:
        return DocumentBody.model_validate(document).upload()
    except ValidationError as error:
        return invalid_model(error)
    except InvalidError as error:
        return error


async def _from_form(form: Form, limits: GatewayLimits, pool: Executor) -> Incoming:
    refuse_count(len(form.files), field="file")
    document_id = form.fields.get("document_id")
    if document_id is not None and len(form.files) > 1:
        raise InvalidError.of("document_id", "must come with one file only")
    metadata = _metadata(form.fields.get("metadata"))
    access = _access(form.fields.get("access"))
    uploads: list[Readable] = []
    for file in form.files:
        try:
            refuse_size(file.size, file_bytes=limits.file_bytes, field=file.filename[:80] or "file")
        except InvalidError as error:
            uploads.append(error)
            continue
        uploads.append(
            Upload(
                content=await _content(file, pool),
                document_id=document_id,
                filename=file.filename,
                content_type=file.content_type,
                metadata=metadata,
                access=access,
            )
        )
    return Incoming(tuple(uploads), None if len(uploads) == 1 else "file")


async def _content(file: FormFile, pool: Executor) -> bytes:
    return await pool.run(file.read) if file.is_spooled else file.read()


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


def all_ended(outcomes: tuple[UploadOutcome, ...]) -> bool:
    """Whether nothing goes on after the answer."""
    return all(one.state.ended for one in outcomes if isinstance(one, Accepted))
