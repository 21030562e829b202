"""The catalog and its heads from afar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import grpc

from ragmesh.api.indexing.v1 import catalog_pb2, head_service_pb2
from ragmesh.api.indexing.v1 import catalog_service_pb2 as pb
from ragmesh.api.indexing.v1.catalog_service_pb2_grpc import CatalogServiceStub
from ragmesh.api.indexing.v1.head_service_pb2_grpc import HeadServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.collections import (
    collection_change_to_message,
    collection_from_message,
    new_collection_to_message,
    route_from_message,
)
from ragmesh.chassis.messages.documents import (
    accepted_from_message,
    content_from_message,
    document_change_to_message,
    document_from_message,
    outcome_from_message,
    revision_from_message,
    upload_header_to_message,
)
from ragmesh.chassis.messages.filters import filter_to_message
from ragmesh.chassis.messages.heads import head_batch_from_message
from ragmesh.chassis.messages.jobs import JOB_STATES, job_from_message
from ragmesh.clients.mending import IDEMPOTENT_METHODS as MENDING_METHODS
from ragmesh.clients.mending import MendingClient
from ragmesh.clients.migrations import IDEMPOTENT_METHODS as MIGRATION_METHODS
from ragmesh.clients.migrations import MigrationsClient
from ragmesh.clients.records import IDEMPOTENT_METHODS as RECORD_METHODS
from ragmesh.clients.records import RecordClient
from ragmesh.clients.replies import followed, opened, reading
from ragmesh.clients.tenants import IDEMPOTENT_METHODS as TENANT_METHODS
from ragmesh.clients.tenants import TenantClient
from ragmesh.core.callers import Caller
from ragmesh.core.documents import (
    Accepted,
    Collection,
    CollectionChange,
    Document,
    DocumentChange,
    DocumentContent,
    DocumentText,
    Job,
    JobState,
    NewCollection,
    Revision,
    Route,
    Upload,
    UploadOutcome,
)
from ragmesh.core.errors import InternalError, InvalidError, RevisionNotFoundError
from ragmesh.core.filters import Filter
from ragmesh.core.index import HeadBatch
from ragmesh.core.pages import Page, PageRequest

_CATALOG = pb.DESCRIPTOR.services_by_name["CatalogService"].full_name
_READS = (
    "GetCollection",
    "ListCollections",
    "ResolveRoute",
    "GetDocument",
    "GetDocumentText",
    "GetDocumentContent",
    "ListDocuments",
    "ListRevisions",
    "GetJob",
    "ListJobs",
)
IDEMPOTENT_METHODS = (
    *(f"{_CATALOG}/{method}" for method in _READS),
    *MENDING_METHODS,
    *MIGRATION_METHODS,
    *RECORD_METHODS,
    *TENANT_METHODS,
)
"""Methods for the channel to send again: reads, records, and what mends. A change may have been
made although its answer was lost, and only who asked for it knows whether to ask again."""
UPLOAD_SECONDS = 300.0
"""How long an upload may take, unless the request that brings it has less time left."""
_INDEXING = "indexing"
_PIECE_BYTES = 256 * 1024
_LARGEST_REVISION = 2**32 - 1


class IndexingClient(MendingClient, MigrationsClient, RecordClient, TenantClient):
    """An IndexingService over a channel that the chassis made."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        MendingClient.__init__(self, channel, caller_signer)
        MigrationsClient.__init__(self, channel, caller_signer)
        RecordClient.__init__(self, channel, caller_signer)
        TenantClient.__init__(self, channel, caller_signer)
        self._catalog = CatalogServiceStub(channel)
        self._heads = HeadServiceStub(channel)

    async def create_collection(self, caller: Caller, new: NewCollection) -> Collection:
        """Make a collection and its first index version."""
        reply = await self._catalog.CreateCollection(
            new_collection_to_message(new), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return collection_from_message(reply.collection)

    async def get_collection(self, caller: Caller, name: str) -> Collection:
        """The collection with what the caller may count."""
        reply = await self._catalog.GetCollection(
            pb.GetCollectionRequest(name=name), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return collection_from_message(reply.collection)

    async def list_collections(self, caller: Caller, page: PageRequest) -> Page[Collection]:
        """The tenant's collections in order of name."""
        reply = await self._catalog.ListCollections(
            pb.ListCollectionsRequest(page_size=page.size, page_token=page.token),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(collection_from_message(one) for one in reply.collections)
        return Page(found, reply.next_page_token)

    async def update_collection(
        self, caller: Caller, name: str, change: CollectionChange
    ) -> Collection:
        """Change description or default access."""
        reply = await self._catalog.UpdateCollection(
            collection_change_to_message(name, change), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return collection_from_message(reply.collection)

    async def delete_collection(self, caller: Caller, name: str) -> None:
        """Free the name at once; index, rows and blobs go afterwards."""
        await self._catalog.DeleteCollection(
            pb.DeleteCollectionRequest(name=name), metadata=self._signer.metadata(caller)
        )

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        """One index version for one question, the same for the same affinity."""
        reply = await self._catalog.ResolveRoute(
            pb.ResolveRouteRequest(collection=name, sticky_key=affinity),
            metadata=self._signer.metadata(caller),
        )
        return route_from_message(reply.route)

    async def create_documents(
        self, caller: Caller, collection: str, uploads: Sequence[Upload]
    ) -> tuple[UploadOutcome, ...]:
        """Take each upload in or refuse it by itself; what is taken is durable on return."""
        # Made before the call: an error of the stream's own would end it without saying why.
        headers = [_header(upload) for upload in uploads]
        sent = [
            (header, upload.content)
            for header, upload in zip(headers, uploads, strict=True)
            if not isinstance(header, InvalidError)
        ]
        refused = [header for header in headers if isinstance(header, InvalidError)]
        if uploads and not sent:
            return tuple(refused)
        reply = await self._catalog.CreateDocuments(
            _messages(collection, sent),
            metadata=self._signer.metadata(caller),
            timeout=UPLOAD_SECONDS,
        )
        with reading(_INDEXING):
            told = [outcome_from_message(one) for one in reply.outcomes]
        if len(told) != len(sent):
            raise InternalError(f"{_INDEXING} answered {len(told)} of {len(sent)} documents")
        rest = iter(told)
        return tuple(h if isinstance(h, InvalidError) else next(rest) for h in headers)

    async def update_document(
        self, caller: Caller, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change title, metadata or access without embedding anything."""
        reply = await self._catalog.UpdateDocument(
            document_change_to_message(collection, document_id, change),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return accepted_from_message(reply.accepted)

    async def get_document(self, caller: Caller, collection: str, document_id: str) -> Document:
        """The document, unless it is deleted or hidden from the caller."""
        reply = await self._catalog.GetDocument(
            pb.GetDocumentRequest(collection=collection, document_id=document_id),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return document_from_message(reply.document)

    async def list_documents(
        self, caller: Caller, collection: str, *, filter: Filter | None, page: PageRequest
    ) -> Page[Document]:
        """Documents the caller may see, in order of id."""
        reply = await self._catalog.ListDocuments(
            pb.ListDocumentsRequest(
                collection=collection,
                filter=None if filter is None else filter_to_message(filter),
                page_size=page.size,
                page_token=page.token,
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(document_from_message(one) for one in reply.documents)
        return Page(found, reply.next_page_token)

    async def get_document_text(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentText:
        """The extracted text of a revision; None = the current one."""
        reply = await self._catalog.GetDocumentText(
            pb.GetDocumentTextRequest(
                collection=collection,
                document_id=document_id,
                revision=None if revision is None else _revision(document_id, revision),
            ),
            metadata=self._signer.metadata(caller),
        )
        place = (reply.collection_uid, reply.document_uid)
        return DocumentText(reply.document_id, reply.revision, reply.text, *place)

    async def get_document_content(
        self, caller: Caller, collection: str, document_id: str, *, revision: int | None
    ) -> DocumentContent:
        """The original bytes of a revision; None = the current one."""
        stream = self._catalog.GetDocumentContent(
            pb.GetDocumentContentRequest(
                collection=collection,
                document_id=document_id,
                revision=None if revision is None else _revision(document_id, revision),
            ),
            metadata=self._signer.metadata(caller),
        )
        start = pb.ContentStart()
        pieces: list[bytes] = []
        async with aclosing(opened(stream)) as messages:
            async for message in messages:
                if message.WhichOneof("part") == "start":
                    start = message.start
                else:
                    pieces.append(message.piece)
        with reading(_INDEXING):
            return content_from_message(start, b"".join(pieces))

    async def delete_document(self, caller: Caller, collection: str, document_id: str) -> Accepted:
        """Make the document invisible at once; the job clears its chunks away."""
        reply = await self._catalog.DeleteDocument(
            pb.DeleteDocumentRequest(collection=collection, document_id=document_id),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return accepted_from_message(reply.accepted)

    async def list_revisions(
        self, caller: Caller, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, newest first, tombstones included."""
        reply = await self._catalog.ListRevisions(
            pb.ListRevisionsRequest(
                collection=collection,
                document_id=document_id,
                page_size=page.size,
                page_token=page.token,
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(revision_from_message(one) for one in reply.revisions)
        return Page(found, reply.next_page_token)

    async def restore_revision(
        self, caller: Caller, collection: str, document_id: str, revision: int
    ) -> Accepted:
        """Make a new revision of an old one's content, also of a deleted document."""
        reply = await self._catalog.RestoreRevision(
            pb.RestoreRevisionRequest(
                collection=collection,
                document_id=document_id,
                revision=_revision(document_id, revision),
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return accepted_from_message(reply.accepted)

    async def get_job(self, caller: Caller, job_id: str) -> Job:
        """The job; once it says SUCCEEDED, its document is visible as it was then."""
        reply = await self._catalog.GetJob(
            pb.GetJobRequest(job_id=job_id), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return job_from_message(reply.job)

    async def list_jobs(
        self, caller: Caller, *, state: JobState | None, page: PageRequest
    ) -> Page[Job]:
        """Jobs of documents the caller may see, newest first."""
        request = pb.ListJobsRequest(page_size=page.size, page_token=page.token)
        if state is not None:
            request.state = JOB_STATES.number(state)
        reply = await self._catalog.ListJobs(request, metadata=self._signer.metadata(caller))
        with reading(_INDEXING):
            return Page(tuple(job_from_message(one) for one in reply.jobs), reply.next_page_token)

    async def cancel_job(self, caller: Caller, job_id: str) -> Job:
        """End the job CANCELLED; JobFinishedError when it has ended."""
        reply = await self._catalog.CancelJob(
            pb.CancelJobRequest(job_id=job_id), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return job_from_message(reply.job)

    async def watch_job(self, caller: Caller, job_id: str) -> AsyncGenerator[Job, None]:
        """The job now and after every change; ends with the job, or with whoever closes it."""

        def ask() -> object:
            request = pb.WatchJobRequest(job_id=job_id)
            return self._catalog.WatchJob(request, metadata=self._signer.metadata(caller))

        last: Job | None = None
        async with aclosing(followed(ask)) as messages:
            async for message in messages:
                with reading(_INDEXING):
                    job = job_from_message(message.job)
                if job != last:
                    yield job
                last = job

    async def watch_heads(
        self, caller: Caller, index_version_uid: str, *, from_sequence: int
    ) -> AsyncGenerator[HeadBatch, None]:
        """Heads after the sequence, for ever; coming back for more says they are applied.

        That is told to indexing as an acknowledgement, so that it means here what it means in one
        process. A peer that is away or dead ends the stream with UNAVAILABLE; ask again then.
        """
        steps: asyncio.Queue[head_service_pb2.WatchHeadsRequest | None] = asyncio.Queue()
        start = head_service_pb2.WatchHeadsStart(
            index_version_uid=index_version_uid, from_sequence=from_sequence
        )
        steps.put_nowait(head_service_pb2.WatchHeadsRequest(start=start))
        stream = self._heads.WatchHeads(_steps(steps), metadata=self._signer.metadata(caller))
        try:
            async with aclosing(opened(stream)) as messages:
                async for message in messages:
                    with reading(_INDEXING):
                        batch = head_batch_from_message(message)
                    yield batch
                    applied = head_service_pb2.HeadsApplied(sequence=batch.sequence)
                    steps.put_nowait(head_service_pb2.WatchHeadsRequest(applied=applied))
        finally:
            steps.put_nowait(None)


async def _steps(
    steps: asyncio.Queue[head_service_pb2.WatchHeadsRequest | None],
) -> AsyncIterator[head_service_pb2.WatchHeadsRequest]:
    """What the follower says, until it has nothing more to say."""
    while (step := await steps.get()) is not None:
        yield step


def _header(upload: Upload) -> catalog_pb2.UploadHeader | InvalidError:
    """What comes with the content, or why no message can carry it."""
    try:
        return upload_header_to_message(upload)
    except InvalidError as error:
        return error


async def _messages(
    collection: str, documents: Sequence[tuple[catalog_pb2.UploadHeader, bytes]]
) -> AsyncIterator[pb.CreateDocumentsRequest]:
    """An upload, each document beginning with as much of its content as a message takes."""
    start = pb.CreateDocumentsStart(collection=collection, document_count=len(documents))
    yield pb.CreateDocumentsRequest(start=start)
    for header, content in documents:
        first = pb.DocumentStart(header=header, piece=content[:_PIECE_BYTES])
        yield pb.CreateDocumentsRequest(document=first)
        for begin in range(_PIECE_BYTES, len(content), _PIECE_BYTES):
            yield pb.CreateDocumentsRequest(piece=content[begin : begin + _PIECE_BYTES])


def _revision(document_id: str, revision: int) -> int:
    """The number itself, unless no document can have a revision of that number."""
    if not 0 < revision <= _LARGEST_REVISION:
        message = f"document {document_id} has no revision {revision} with content"
        raise RevisionNotFoundError(message)
    return revision
