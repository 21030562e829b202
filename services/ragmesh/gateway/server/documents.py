"""Documents and jobs over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import document_service_pb2 as pb
from ragmesh.api.gateway.v1 import document_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.filters import filter_from_message
from ragmesh.core.names import collection_name, document_id
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.server.reading import document_change, upload_of
from ragmesh.gateway.server.uploads import outcome_message, read_upload, readable
from ragmesh.gateway.server.writing import (
    accepted_message,
    document_message,
    job_message,
    job_state,
    revision_message,
)
from ragmesh.gateway.service import GatewayService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PIECE_BYTES = 256 * 1024


class DocumentServicer(pb_grpc.DocumentServiceServicer):
    """Translates calls about documents and jobs; the interceptor owns errors."""

    def __init__(self, service: GatewayService) -> None:
        self._service = service
        self._catalog = service.catalog

    async def CreateDocument(
        self, request: pb.CreateDocumentRequest, _context: Context
    ) -> pb.CreateDocumentResponse:
        """Accept one document."""
        caller = current_principal()
        with self._service.room.share(request.ByteSize()):
            accepted = await self._service.upload(
                caller, request.collection, upload_of(request.document)
            )
        return pb.CreateDocumentResponse(accepted=accepted_message(accepted))

    async def BatchCreateDocuments(
        self, request: pb.BatchCreateDocumentsRequest, _context: Context
    ) -> pb.BatchCreateDocumentsResponse:
        """Accept or refuse each document by itself."""
        caller = current_principal()
        with self._service.room.share(request.ByteSize()):
            uploads = [readable(document) for document in request.documents]
            outcomes = await self._service.upload_each(caller, request.collection, uploads)
        return pb.BatchCreateDocumentsResponse(
            outcomes=[outcome_message(outcome) for outcome in outcomes]
        )

    async def UploadDocument(
        self, request_iterator: AsyncIterator[pb.UploadDocumentRequest], _context: Context
    ) -> pb.UploadDocumentResponse:
        """Accept one document that comes piece by piece."""
        caller = current_principal()
        limits = self._service.limits
        with self._service.room.share() as share:
            collection, upload = await read_upload(request_iterator, share, limits)
            accepted = await self._service.upload(caller, collection, upload)
        return pb.UploadDocumentResponse(accepted=accepted_message(accepted))

    async def UpdateDocument(
        self, request: pb.UpdateDocumentRequest, _context: Context
    ) -> pb.UpdateDocumentResponse:
        """Change attributes."""
        caller = current_principal()
        accepted = await self._catalog.update_document(
            caller, *_named(request), document_change(request)
        )
        return pb.UpdateDocumentResponse(accepted=accepted_message(accepted))

    async def GetDocument(
        self, request: pb.GetDocumentRequest, _context: Context
    ) -> pb.GetDocumentResponse:
        """Answer one document."""
        caller = current_principal()
        document = await self._catalog.get_document(caller, *_named(request))
        return pb.GetDocumentResponse(document=document_message(document))

    async def GetDocumentText(
        self, request: pb.GetDocumentTextRequest, _context: Context
    ) -> pb.GetDocumentTextResponse:
        """Answer the text that spans count in."""
        caller = current_principal()
        text = await self._service.get_document_text(
            caller, *_named(request), revision=_revision(request)
        )
        return pb.GetDocumentTextResponse(text=text.text, revision=text.revision)

    async def GetDocumentContent(
        self, request: pb.GetDocumentContentRequest, _context: Context
    ) -> AsyncIterator[pb.GetDocumentContentResponse]:
        """Answer the original bytes, piece by piece."""
        caller = current_principal()
        content = await self._service.get_document_content(
            caller, *_named(request), revision=_revision(request)
        )
        yield pb.GetDocumentContentResponse(
            start=pb.ContentStart(
                revision=content.revision,
                content_type=content.content_type,
                filename=content.filename,
                size_bytes=len(content.content),
            )
        )
        for begin in range(0, len(content.content), PIECE_BYTES):
            piece = content.content[begin : begin + PIECE_BYTES]
            yield pb.GetDocumentContentResponse(piece=piece)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, _context: Context
    ) -> pb.ListDocumentsResponse:
        """Answer a page of documents."""
        caller = current_principal()
        page = await self._catalog.list_documents(
            caller,
            collection_name(request.collection),
            filter=filter_from_message(request.filter) if request.HasField("filter") else None,
            page=PageRequest(request.page_size, request.page_token),
        )
        return pb.ListDocumentsResponse(
            documents=[document_message(document) for document in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, _context: Context
    ) -> pb.DeleteDocumentResponse:
        """Delete a document."""
        caller = current_principal()
        accepted = await self._catalog.delete_document(caller, *_named(request))
        return pb.DeleteDocumentResponse(accepted=accepted_message(accepted))

    async def ListRevisions(
        self, request: pb.ListRevisionsRequest, _context: Context
    ) -> pb.ListRevisionsResponse:
        """Answer a page of revisions."""
        caller = current_principal()
        page = await self._catalog.list_revisions(
            caller, *_named(request), PageRequest(request.page_size, request.page_token)
        )
        return pb.ListRevisionsResponse(
            revisions=[revision_message(revision) for revision in page.items],
            next_page_token=page.next_token,
        )

    async def RestoreRevision(
        self, request: pb.RestoreRevisionRequest, _context: Context
    ) -> pb.RestoreRevisionResponse:
        """Make an earlier content the newest revision."""
        caller = current_principal()
        accepted = await self._catalog.restore_revision(caller, *_named(request), request.revision)
        return pb.RestoreRevisionResponse(accepted=accepted_message(accepted))

    async def GetJob(self, request: pb.GetJobRequest, _context: Context) -> pb.GetJobResponse:
        """Answer one job."""
        caller = current_principal()
        job = await self._catalog.get_job(caller, request.job_id)
        return pb.GetJobResponse(job=job_message(job))

    async def ListJobs(self, request: pb.ListJobsRequest, _context: Context) -> pb.ListJobsResponse:
        """Answer a page of jobs."""
        caller = current_principal()
        page = await self._catalog.list_jobs(
            caller,
            state=job_state(request.state),
            page=PageRequest(request.page_size, request.page_token),
        )
        return pb.ListJobsResponse(
            jobs=[job_message(job) for job in page.items], next_page_token=page.next_token
        )

    async def CancelJob(
        self, request: pb.CancelJobRequest, _context: Context
    ) -> pb.CancelJobResponse:
        """Cancel a job."""
        caller = current_principal()
        job = await self._catalog.cancel_job(caller, request.job_id)
        return pb.CancelJobResponse(job=job_message(job))

    async def WatchJob(
        self, request: pb.WatchJobRequest, _context: Context
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Follow a job until it ends."""
        caller = current_principal()
        events = self._service.watch_job(
            caller, request.job_id, after_event_id=request.after_event_id
        )
        async with aclosing(events):
            async for event in events:
                yield pb.WatchJobResponse(job=job_message(event.job), event_id=event.event_id)


_Naming = (
    pb.UpdateDocumentRequest
    | pb.GetDocumentRequest
    | pb.GetDocumentTextRequest
    | pb.GetDocumentContentRequest
    | pb.DeleteDocumentRequest
    | pb.ListRevisionsRequest
    | pb.RestoreRevisionRequest
)


def _named(request: _Naming) -> tuple[str, str]:
    """The collection and the document that a request names."""
    return collection_name(request.collection), document_id(request.document_id)


def _revision(request: pb.GetDocumentTextRequest | pb.GetDocumentContentRequest) -> int | None:
    return request.revision if request.HasField("revision") else None
