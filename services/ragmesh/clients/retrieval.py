"""Retrieval from afar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from ragmesh.api.retrieval.v1 import retrieval_service_pb2 as pb
from ragmesh.api.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.index import (
    attributes_write_to_message,
    chunk_from_message,
    description_from_message,
    digest_from_message,
    document_write_to_messages,
    index_spec_to_message,
)
from ragmesh.chassis.messages.retrieving import retrieve_query_to_message
from ragmesh.chassis.messages.search import retrieval_from_message
from ragmesh.clients.replies import opened, reading
from ragmesh.core.callers import Caller
from ragmesh.core.index import (
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    IndexDescription,
    IndexSpec,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.search import Retrieval, RetrieveQuery

_SERVICE = pb.DESCRIPTOR.services_by_name["RetrievalService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in (
        "Retrieve",
        "CreateIndex",
        "DropIndex",
        "UpdateAttributes",
        "DeleteChunks",
        "ListDocumentDigests",
        "ReadChunks",
        "DescribeIndex",
    )
)
"""Methods for the channel to send again: twice is once. So is WriteChunks, but a stream that is
longer than gRPC's buffer cannot be sent again; whoever writes tries anew with backoff."""
WRITE_SECONDS = 300.0
"""How long a write may take; the largest document has tens of thousands of chunks."""


class RetrievalClient:
    """A RetrievalService over a channel that the chassis made."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._stub = RetrievalServiceStub(channel)
        self._signer = caller_signer

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """The chunks closest to a question."""
        reply = await self._stub.Retrieve(
            retrieve_query_to_message(query), metadata=self._signer.metadata(caller)
        )
        with reading("retrieval"):
            return retrieval_from_message(reply.retrieval)

    async def create_index(self, caller: Caller, spec: IndexSpec) -> None:
        """Make an empty index version; the same spec again changes nothing."""
        await self._stub.CreateIndex(
            pb.CreateIndexRequest(spec=index_spec_to_message(spec)),
            metadata=self._signer.metadata(caller),
        )

    async def drop_index(self, caller: Caller, index_version_uid: str) -> None:
        """Remove an index version with all it holds; one that is not there is no error."""
        await self._stub.DropIndex(
            pb.DropIndexRequest(index_version_uid=index_version_uid),
            metadata=self._signer.metadata(caller),
        )

    async def write_chunks(self, caller: Caller, write: DocumentWrite) -> DocumentDigest:
        """Keep a revision's chunks, all of them or none; translated as they are sent."""
        reply = await self._stub.WriteChunks(
            _messages(write), metadata=self._signer.metadata(caller), timeout=WRITE_SECONDS
        )
        with reading("retrieval"):
            return digest_from_message(reply.digest)

    async def update_attributes(self, caller: Caller, write: AttributesWrite) -> None:
        """Give a revision's chunks new attributes, unless they have later ones."""
        await self._stub.UpdateAttributes(
            attributes_write_to_message(write), metadata=self._signer.metadata(caller)
        )

    async def delete_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, below_revision: int
    ) -> int:
        """Remove the chunks of all revisions below; how many there were, by the last attempt."""
        reply = await self._stub.DeleteChunks(
            pb.DeleteChunksRequest(
                index_version_uid=index_version_uid,
                document_uid=document_uid,
                below_revision=below_revision,
            ),
            metadata=self._signer.metadata(caller),
        )
        return reply.removed

    async def list_document_digests(
        self, caller: Caller, index_version_uid: str, page: PageRequest
    ) -> Page[DocumentDigest]:
        """What the index holds of each revision, for comparison with the catalog."""
        reply = await self._stub.ListDocumentDigests(
            pb.ListDocumentDigestsRequest(
                index_version_uid=index_version_uid, page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        found = tuple(digest_from_message(digest) for digest in reply.digests)
        return Page(found, reply.next_page_token)

    async def read_chunks(
        self, caller: Caller, index_version_uid: str, document_uid: str, *, revision: int
    ) -> tuple[Chunk, ...]:
        """What is held of a revision, by ordinal; nothing when it is not held."""
        stream = self._stub.ReadChunks(
            pb.ReadChunksRequest(
                index_version_uid=index_version_uid, document_uid=document_uid, revision=revision
            ),
            metadata=self._signer.metadata(caller),
            timeout=WRITE_SECONDS,
        )
        chunks: list[Chunk] = []
        async with aclosing(opened(stream)) as messages:
            async for message in messages:
                with reading("retrieval"):
                    chunks += [chunk_from_message(chunk) for chunk in message.chunks]
        return tuple(chunks)

    async def describe_index(self, caller: Caller, index_version_uid: str) -> IndexDescription:
        """The index version as it stands."""
        reply = await self._stub.DescribeIndex(
            pb.DescribeIndexRequest(index_version_uid=index_version_uid),
            metadata=self._signer.metadata(caller),
        )
        with reading("retrieval"):
            return description_from_message(reply.description)


async def _messages(write: DocumentWrite) -> AsyncIterator[pb.WriteChunksRequest]:
    for message in document_write_to_messages(write):
        yield message
