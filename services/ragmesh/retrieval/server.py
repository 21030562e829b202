"""The gRPC face of retrieval: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from ragmesh.api.retrieval.v1 import retrieval_service_pb2 as pb
from ragmesh.api.retrieval.v1 import retrieval_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.index import (
    attributes_write_from_message,
    chunk_from_message,
    chunks_to_messages,
    description_to_message,
    digest_to_message,
    document_write_from_parts,
    index_spec_from_message,
)
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.chassis.messages.parts import refuse_missing
from ragmesh.chassis.messages.retrieving import retrieve_query_from_message
from ragmesh.chassis.messages.search import retrieval_to_message
from ragmesh.core.errors import InvalidError
from ragmesh.core.index import Chunk, DocumentWrite
from ragmesh.retrieval.service import RetrievalService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

SERVICE_NAMES = (pb.DESCRIPTOR.services_by_name["RetrievalService"].full_name,)
"""Everything that this service serves."""


def add_retrieval(server: grpc.aio.Server, service: RetrievalService) -> None:
    """Register retrieval; SERVICE_NAMES lists it."""
    pb_grpc.add_RetrievalServiceServicer_to_server(RetrievalServicer(service), server)


class RetrievalServicer(pb_grpc.RetrievalServiceServicer):
    """Searches and writes over gRPC; the interceptor owns errors."""

    def __init__(self, service: RetrievalService) -> None:
        self._service = service

    async def Retrieve(self, request: pb.RetrieveRequest, _context: Context) -> pb.RetrieveResponse:
        """Find the chunks that answer a question best."""
        found = await self._service.retrieve(current_caller(), retrieve_query_from_message(request))
        return pb.RetrieveResponse(retrieval=retrieval_to_message(found))

    async def CreateIndex(
        self, request: pb.CreateIndexRequest, _context: Context
    ) -> pb.CreateIndexResponse:
        """Make an empty index version."""
        refuse_missing(request, "spec")
        await self._service.create_index(current_caller(), index_spec_from_message(request.spec))
        return pb.CreateIndexResponse()

    async def DropIndex(
        self, request: pb.DropIndexRequest, _context: Context
    ) -> pb.DropIndexResponse:
        """Remove an index version."""
        await self._service.drop_index(current_caller(), request.index_version_uid)
        return pb.DropIndexResponse()

    async def WriteChunks(
        self, request_iterator: AsyncIterator[pb.WriteChunksRequest], _context: Context
    ) -> pb.WriteChunksResponse:
        """Write all chunks of a revision, once all have come."""
        caller = current_caller()
        digest = await self._service.write_chunks(caller, await _write_of(request_iterator))
        return pb.WriteChunksResponse(digest=digest_to_message(digest))

    async def UpdateAttributes(
        self, request: pb.UpdateAttributesRequest, _context: Context
    ) -> pb.UpdateAttributesResponse:
        """Give chunks new attributes."""
        await self._service.update_attributes(
            current_caller(), attributes_write_from_message(request)
        )
        return pb.UpdateAttributesResponse()

    async def DeleteChunks(
        self, request: pb.DeleteChunksRequest, _context: Context
    ) -> pb.DeleteChunksResponse:
        """Remove the chunks of superseded revisions."""
        removed = await self._service.delete_chunks(
            current_caller(),
            request.index_version_uid,
            request.document_uid,
            below_revision=request.below_revision,
        )
        return pb.DeleteChunksResponse(removed=removed)

    async def ListDocumentDigests(
        self, request: pb.ListDocumentDigestsRequest, _context: Context
    ) -> pb.ListDocumentDigestsResponse:
        """Answer a page of what an index version holds."""
        page = await self._service.list_document_digests(
            current_caller(), request.index_version_uid, page_request_from_message(request)
        )
        return pb.ListDocumentDigestsResponse(
            digests=[digest_to_message(digest) for digest in page.items],
            next_page_token=page.next_token,
        )

    async def ReadChunks(
        self, request: pb.ReadChunksRequest, _context: Context
    ) -> AsyncIterator[pb.ReadChunksResponse]:
        """Answer what is held of a revision, batch by batch."""
        chunks = await self._service.read_chunks(
            current_caller(),
            request.index_version_uid,
            request.document_uid,
            revision=request.revision,
        )
        for batch in chunks_to_messages(chunks):
            yield pb.ReadChunksResponse(chunks=batch)

    async def DescribeIndex(
        self, request: pb.DescribeIndexRequest, _context: Context
    ) -> pb.DescribeIndexResponse:
        """Describe an index version as it stands."""
        described = await self._service.describe_index(current_caller(), request.index_version_uid)
        return pb.DescribeIndexResponse(description=description_to_message(described))


async def _write_of(messages: AsyncIterator[pb.WriteChunksRequest]) -> DocumentWrite:
    """The write that a stream amounts to.

    It is held whole, as within one process: a parser gives at most 16 million characters of text,
    and the store needs all chunks of a revision at once.
    """
    start: pb.WriteChunksStart | None = None
    chunks: list[Chunk] = []
    async for message in messages:
        match message.WhichOneof("part"):
            case "start" if start is None:
                start = message.start
            case "batch" if start is not None:
                first = len(chunks)
                chunks += [
                    chunk_from_message(chunk, field=f"chunks[{position}]")
                    for position, chunk in enumerate(message.batch.chunks, first)
                ]
                if len(chunks) > start.chunk_count:
                    raise InvalidError.of("batch.chunks", f"must be {start.chunk_count} in all")
            case _:
                raise InvalidError.of("part", "must be one start, then batches")
    if start is None:
        raise InvalidError.of("part", "must be one start, then batches")
    return document_write_from_parts(start, chunks)
