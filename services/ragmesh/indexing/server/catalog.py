"""The catalog over gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias, cast

import grpc

from ragmesh.api.indexing.v1 import catalog_service_pb2 as pb
from ragmesh.api.indexing.v1 import catalog_service_pb2_grpc as pb_grpc
from ragmesh.api.types.v1 import job_pb2
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.collections import (
    collection_change_from_message,
    collection_to_message,
    new_collection_from_message,
    route_to_message,
)
from ragmesh.chassis.messages.documents import (
    accepted_to_message,
    content_start_to_message,
    document_change_from_message,
    document_to_message,
    outcome_to_message,
    revision_to_message,
)
from ragmesh.chassis.messages.filters import filter_from_message
from ragmesh.chassis.messages.jobs import JOB_STATES, job_to_message
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.core.documents import Job
from ragmesh.indexing.server.uploads import read_uploads
from ragmesh.indexing.service import IndexingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

PIECE_BYTES = 256 * 1024


class CatalogServicer(pb_grpc.CatalogServiceServicer):
    """Collections, documents and jobs over gRPC; the interceptor owns errors."""

    def __init__(self, service: IndexingService) -> None:
        self._service = service

    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, _context: Context
    ) -> pb.CreateCollectionResponse:
        """Make an empty collection."""
        made = await self._service.create_collection(
            current_caller(), new_collection_from_message(request)
        )
        return pb.CreateCollectionResponse(collection=collection_to_message(made))

    async def GetCollection(
        self, request: pb.GetCollectionRequest, _context: Context
    ) -> pb.GetCollectionResponse:
        """Answer one collection."""
        found = await self._service.get_collection(current_caller(), request.name)
        return pb.GetCollectionResponse(collection=collection_to_message(found))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, _context: Context
    ) -> pb.ListCollectionsResponse:
        """Answer a page of collections."""
        page = await self._service.list_collections(
            current_caller(), page_request_from_message(request)
        )
        return pb.ListCollectionsResponse(
            collections=[collection_to_message(collection) for collection in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, _context: Context
    ) -> pb.UpdateCollectionResponse:
        """Change what needs no new index version."""
        changed = await self._service.update_collection(
            current_caller(), request.name, collection_change_from_message(request)
        )
        return pb.UpdateCollectionResponse(collection=collection_to_message(changed))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, _context: Context
    ) -> pb.DeleteCollectionResponse:
        """Delete a collection."""
        await self._service.delete_collection(current_caller(), request.name)
        return pb.DeleteCollectionResponse()

    async def ResolveRoute(
        self, request: pb.ResolveRouteRequest, _context: Context
    ) -> pb.ResolveRouteResponse:
        """Answer where a question goes."""
        route = await self._service.resolve_route(
            current_caller(), request.collection, affinity=request.sticky_key
        )
        return pb.ResolveRouteResponse(route=route_to_message(route))

    async def CreateDocuments(
        self, request_iterator: AsyncIterator[pb.CreateDocumentsRequest], _context: Context
    ) -> pb.CreateDocumentsResponse:
        """Accept or refuse each document, once all have come."""
        caller = current_caller()
        collection, uploads = await read_uploads(request_iterator)
        outcomes = await self._service.create_documents(caller, collection, uploads)
        return pb.CreateDocumentsResponse(outcomes=[outcome_to_message(one) for one in outcomes])

    async def UpdateDocument(
        self, request: pb.UpdateDocumentRequest, _context: Context
    ) -> pb.UpdateDocumentResponse:
        """Change attributes."""
        accepted = await self._service.update_document(
            current_caller(),
            request.collection,
            request.document_id,
            document_change_from_message(request),
        )
        return pb.UpdateDocumentResponse(accepted=accepted_to_message(accepted))

    async def GetDocument(
        self, request: pb.GetDocumentRequest, _context: Context
    ) -> pb.GetDocumentResponse:
        """Answer one document."""
        document = await self._service.get_document(
            current_caller(), request.collection, request.document_id
        )
        return pb.GetDocumentResponse(document=document_to_message(document))

    async def GetDocumentText(
        self, request: pb.GetDocumentTextRequest, _context: Context
    ) -> pb.GetDocumentTextResponse:
        """Answer the text that spans count in."""
        text = await self._service.get_document_text(
            current_caller(),
            request.collection,
            request.document_id,
            revision=_revision(request),
        )
        return pb.GetDocumentTextResponse(
            document_id=text.document_id,
            revision=text.revision,
            text=text.text,
            collection_uid=text.collection_uid,
            document_uid=text.document_uid,
        )

    async def GetDocumentContent(
        self, request: pb.GetDocumentContentRequest, _context: Context
    ) -> AsyncIterator[pb.GetDocumentContentResponse]:
        """Answer the original bytes, piece by piece."""
        found = await self._service.get_document_content(
            current_caller(),
            request.collection,
            request.document_id,
            revision=_revision(request),
        )
        yield pb.GetDocumentContentResponse(start=content_start_to_message(found))
        for begin in range(0, len(found.content), PIECE_BYTES):
            piece = found.content[begin : begin + PIECE_BYTES]
            yield pb.GetDocumentContentResponse(piece=piece)

    async def ListDocuments(
        self, request: pb.ListDocumentsRequest, _context: Context
    ) -> pb.ListDocumentsResponse:
        """Answer a page of documents."""
        page = await self._service.list_documents(
            current_caller(),
            request.collection,
            filter=filter_from_message(request.filter) if request.HasField("filter") else None,
            page=page_request_from_message(request),
        )
        return pb.ListDocumentsResponse(
            documents=[document_to_message(document) for document in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteDocument(
        self, request: pb.DeleteDocumentRequest, _context: Context
    ) -> pb.DeleteDocumentResponse:
        """Delete a document."""
        accepted = await self._service.delete_document(
            current_caller(), request.collection, request.document_id
        )
        return pb.DeleteDocumentResponse(accepted=accepted_to_message(accepted))

    async def ListRevisions(
        self, request: pb.ListRevisionsRequest, _context: Context
    ) -> pb.ListRevisionsResponse:
        """Answer a page of revisions."""
        page = await self._service.list_revisions(
            current_caller(),
            request.collection,
            request.document_id,
            page_request_from_message(request),
        )
        return pb.ListRevisionsResponse(
            revisions=[revision_to_message(revision) for revision in page.items],
            next_page_token=page.next_token,
        )

    async def RestoreRevision(
        self, request: pb.RestoreRevisionRequest, _context: Context
    ) -> pb.RestoreRevisionResponse:
        """Make an earlier content the newest revision."""
        accepted = await self._service.restore_revision(
            current_caller(), request.collection, request.document_id, request.revision
        )
        return pb.RestoreRevisionResponse(accepted=accepted_to_message(accepted))

    async def GetJob(self, request: pb.GetJobRequest, _context: Context) -> pb.GetJobResponse:
        """Answer one job."""
        job = await self._service.get_job(current_caller(), request.job_id)
        return pb.GetJobResponse(job=job_to_message(job))

    async def ListJobs(self, request: pb.ListJobsRequest, _context: Context) -> pb.ListJobsResponse:
        """Answer a page of jobs."""
        state = None
        if request.state != job_pb2.JOB_STATE_UNSPECIFIED:
            state = JOB_STATES.member(request.state, field="state")
        page = await self._service.list_jobs(
            current_caller(), state=state, page=page_request_from_message(request)
        )
        return pb.ListJobsResponse(
            jobs=[job_to_message(job) for job in page.items], next_page_token=page.next_token
        )

    async def CancelJob(
        self, request: pb.CancelJobRequest, _context: Context
    ) -> pb.CancelJobResponse:
        """Cancel a job."""
        job = await self._service.cancel_job(current_caller(), request.job_id)
        return pb.CancelJobResponse(job=job_to_message(job))

    async def WatchJob(
        self, request: pb.WatchJobRequest, _context: Context
    ) -> AsyncIterator[pb.WatchJobResponse]:
        """Follow a job until it ends; who goes away stops it."""
        changes = self._service.watch_job(current_caller(), request.job_id)
        async with aclosing(cast("AsyncGenerator[Job, None]", changes)):
            async for job in changes:
                yield pb.WatchJobResponse(job=job_to_message(job))


def _revision(request: pb.GetDocumentTextRequest | pb.GetDocumentContentRequest) -> int | None:
    return request.revision if request.HasField("revision") else None
