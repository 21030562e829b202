"""Documents: as they come in, as they change, and as they are."""

from __future__ import annotations

import json

from ragmesh.api.indexing.v1 import catalog_pb2, catalog_service_pb2
from ragmesh.api.types.v1 import document_pb2 as pb
from ragmesh.chassis.messages.access import access_from_message, access_to_message
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.jobs import (
    JOB_STATES,
    failure_from_message,
    failure_to_message,
)
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.chassis.messages.texts import sendable
from ragmesh.chassis.wire import from_status, to_status
from ragmesh.core.documents import (
    Accepted,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentState,
    Revision,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import InvalidError, InvalidMetadataError, Violation
from ragmesh.core.metadata import Metadata
from ragmesh.core.names import document_id as checked_id
from ragmesh.core.properties import FileProperties

DOCUMENT_STATES = EnumNumbers(DocumentState, pb.DocumentState)


def upload_header_to_message(upload: Upload) -> catalog_pb2.UploadHeader:
    """What comes with the content."""
    named = upload.document_id
    return catalog_pb2.UploadHeader(
        document_id=None if named is None else checked_id(named, field="document_id"),
        filename=sendable(upload.filename, field="filename"),
        content_type=sendable(upload.content_type, field="content_type"),
        title=sendable(upload.title, field="title"),
        metadata_json=upload.metadata.canonical,
        access=None if upload.access is None else access_to_message(upload.access),
    )


def upload_from_message(
    message: catalog_pb2.UploadHeader, content: bytes, *, where: str = ""
) -> Upload:
    """The document of a header and its content; `where` is put before a field at fault."""
    return Upload(
        content=content,
        document_id=message.document_id if message.HasField("document_id") else None,
        filename=message.filename,
        content_type=message.content_type,
        title=message.title,
        metadata=metadata_from_json(message.metadata_json, field=f"{where}metadata"),
        access=access_from_message(message.access, field=f"{where}access")
        if message.HasField("access")
        else None,
    )


def outcome_to_message(outcome: UploadOutcome) -> catalog_service_pb2.UploadOutcome:
    """What became of one document of an upload."""
    if isinstance(outcome, Accepted):
        return catalog_service_pb2.UploadOutcome(accepted=accepted_to_message(outcome))
    return catalog_service_pb2.UploadOutcome(refused=to_status(outcome))


def outcome_from_message(message: catalog_service_pb2.UploadOutcome) -> UploadOutcome:
    """What became of one document of an upload."""
    if message.WhichOneof("outcome") == "refused":
        return from_status(message.refused)
    return accepted_from_message(message.accepted)


def document_change_to_message(
    collection: str, document_id: str, change: DocumentChange
) -> catalog_service_pb2.UpdateDocumentRequest:
    """What of a document changes."""
    return catalog_service_pb2.UpdateDocumentRequest(
        collection=collection,
        document_id=document_id,
        title=None if change.title is None else sendable(change.title, field="title"),
        metadata_json=None if change.metadata is None else change.metadata.canonical,
        access=None if change.access is None else access_to_message(change.access),
        reset_access=change.reset_access,
    )


def document_change_from_message(
    message: catalog_service_pb2.UpdateDocumentRequest,
) -> DocumentChange:
    """What of a document changes."""
    return DocumentChange(
        title=message.title if message.HasField("title") else None,
        metadata=metadata_from_json(message.metadata_json, field="metadata")
        if message.HasField("metadata_json")
        else None,
        access=access_from_message(message.access) if message.HasField("access") else None,
        reset_access=message.reset_access,
    )


def document_to_message(document: Document) -> catalog_pb2.Document:
    """A document without its content."""
    return catalog_pb2.Document(
        document_id=document.document_id,
        uid=document.uid,
        revision=document.revision,
        generation=document.generation,
        state=DOCUMENT_STATES.number(document.state),
        chunks=document.chunks,
        title=document.title,
        content_type=document.content_type,
        metadata_json=document.metadata.canonical,
        access=None if document.access is None else access_to_message(document.access),
        error=None if document.error is None else failure_to_message(document.error),
        updated_at=moment_to_message(document.updated_at),
        properties_json=document.properties.to_json(),
    )


def document_from_message(message: catalog_pb2.Document) -> Document:
    """A document without its content; its metadata is the catalog's own, already canonical."""
    return Document(
        document_id=message.document_id,
        uid=message.uid,
        revision=message.revision,
        generation=message.generation,
        state=DOCUMENT_STATES.member(message.state, field="document.state"),
        chunks=message.chunks,
        title=message.title,
        content_type=message.content_type,
        metadata=Metadata(message.metadata_json),
        access=access_from_message(message.access) if message.HasField("access") else None,
        error=failure_from_message(message.error) if message.HasField("error") else None,
        updated_at=moment_from_message(message.updated_at, field="document.updated_at"),
        properties=FileProperties.from_json(message.properties_json or "{}"),
    )


def accepted_to_message(accepted: Accepted) -> pb.Accepted:
    """The durable answer to a change."""
    return pb.Accepted(
        document_id=accepted.document_id,
        revision=accepted.revision,
        job_id=accepted.job_id,
        state=JOB_STATES.number(accepted.state),
    )


def accepted_from_message(message: pb.Accepted) -> Accepted:
    """The durable answer to a change."""
    return Accepted(
        document_id=message.document_id,
        revision=message.revision,
        job_id=message.job_id,
        state=JOB_STATES.member(message.state, field="accepted.state"),
    )


def revision_to_message(revision: Revision) -> pb.Revision:
    """A content state."""
    return pb.Revision(
        revision=revision.revision,
        content_sha256=revision.content_sha256,
        size_bytes=revision.size_bytes,
        content_type=revision.content_type,
        deleted=revision.deleted,
        created_at=moment_to_message(revision.created_at),
    )


def revision_from_message(message: pb.Revision) -> Revision:
    """A content state."""
    return Revision(
        revision=message.revision,
        content_sha256=message.content_sha256,
        size_bytes=message.size_bytes,
        content_type=message.content_type,
        deleted=message.deleted,
        created_at=moment_from_message(message.created_at, field="revision.created_at"),
    )


def content_start_to_message(content: DocumentContent) -> catalog_service_pb2.ContentStart:
    """What comes before the bytes of a document."""
    return catalog_service_pb2.ContentStart(
        document_id=content.document_id,
        revision=content.revision,
        content_type=content.content_type,
        filename=content.filename,
        size_bytes=len(content.content),
        collection_uid=content.collection_uid,
        document_uid=content.document_uid,
    )


def content_from_message(
    message: catalog_service_pb2.ContentStart, content: bytes
) -> DocumentContent:
    """The bytes of a document with what came before them; InvalidError when some are missing."""
    if len(content) != message.size_bytes:
        raise InvalidError.of("piece", f"must bring {message.size_bytes} bytes in all")
    return DocumentContent(
        message.document_id,
        message.revision,
        content,
        message.content_type,
        message.filename,
        message.collection_uid,
        message.document_uid,
    )


def metadata_from_json(text: str, *, field: str) -> Metadata:
    """Metadata of a sender, canonical; InvalidMetadataError when it is no JSON object."""
    if not text:
        return Metadata()
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        message = "must be a JSON object"
        raise InvalidMetadataError(f"{field} {message}", violations=[Violation(field, message)])
    return Metadata.parse(fields)
