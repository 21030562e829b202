# Generated from ragmesh/clients/gateway/client.py by tools/generate_blocking.py; edit that instead.
"""The gateway's client: every use case as one method, on values, raising the server's errors."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import grpc

from ragmesh.api.gateway.v1 import ask_service_pb2 as ask_pb
from ragmesh.api.gateway.v1 import collection_service_pb2 as collection_pb
from ragmesh.api.gateway.v1 import document_service_pb2 as pb
from ragmesh.api.gateway.v1.ask_service_pb2_grpc import AskServiceStub
from ragmesh.api.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from ragmesh.chassis.grpc_blocking import ChannelOptions, channel
from ragmesh.chassis.grpc_security import DoorSecurity
from ragmesh.chassis.messages.answers import usage_from_message
from ragmesh.chassis.messages.filters import filter_to_message
from ragmesh.chassis.wire import from_status
from ragmesh.clients.blocking.index import IDEMPOTENT_METHODS, ChangingClient
from ragmesh.clients.blocking.replies import followed, opened
from ragmesh.clients.gateway import replies, requests
from ragmesh.core.answers import Answer, AnswerEvent, AskQuery, Citation, Delta, Usage
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
    Upload,
)
from ragmesh.core.errors import InternalError, RagmeshError
from ragmesh.core.filters import Filter
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.search import SearchQuery, SearchResult

UNARY_BYTES = 1024 * 1024
"""Documents with more content are sent piece by piece."""
_PIECE_BYTES = 256 * 1024
_READS = (
    "ragmesh.api.gateway.v1.AskService/Search",
    "ragmesh.api.gateway.v1.CollectionService/GetCollection",
    "ragmesh.api.gateway.v1.CollectionService/ListCollections",
    "ragmesh.api.gateway.v1.DocumentService/GetDocument",
    "ragmesh.api.gateway.v1.DocumentService/GetDocumentText",
    "ragmesh.api.gateway.v1.DocumentService/GetJob",
    "ragmesh.api.gateway.v1.DocumentService/ListDocuments",
    "ragmesh.api.gateway.v1.DocumentService/ListJobs",
    "ragmesh.api.gateway.v1.DocumentService/ListRevisions",
    *IDEMPOTENT_METHODS,
)


@contextmanager
def gateway_client(
    address: str,
    *,
    api_key: str = "",
    deadline_seconds: float = 60.0,
    security: DoorSecurity | None = None,
) -> Iterator[GatewayClient]:
    """A client of the gateway at this gRPC address; reads are retried, changes are not."""
    options = ChannelOptions(default_deadline_seconds=deadline_seconds, idempotent_methods=_READS)
    with channel(address, options=options, security=security) as opened:
        yield GatewayClient(opened, api_key=api_key)


class GatewayClient(ChangingClient):
    """Speaks to a gateway over a channel that the chassis made."""

    def __init__(self, opened: grpc.Channel, *, api_key: str = "") -> None:
        super().__init__(opened, (("authorization", f"Bearer {api_key}"),) if api_key else ())
        self._asking = AskServiceStub(opened)
        self._documents = DocumentServiceStub(opened)

    def ask(self, query: AskQuery) -> Answer:
        """The whole answer."""
        reply = self._asking.Ask(requests.ask_request(query), metadata=self._metadata)
        return replies.answer_of(reply)

    def stream_answer(self, query: AskQuery) -> Generator[AnswerEvent, None, None]:
        """Deltas and citations as they are written, then the whole answer."""
        request = ask_pb.StreamAnswerRequest(ask=requests.ask_request(query))
        pieces: list[str] = []
        citations: list[Citation] = []
        usage = Usage()
        ended = False
        stream = self._asking.StreamAnswer(request, metadata=self._metadata)
        with closing(opened(stream)) as messages:
            # Read to its end, past the finish: a call that is left earlier counts as cancelled.
            for message in messages:
                match message.WhichOneof("event"):
                    case "delta":
                        pieces.append(message.delta.text)
                        yield Delta(message.delta.text)
                    case "citation":
                        citations.append(replies.citation_of(message.citation))
                        yield citations[-1]
                    case "usage":
                        usage = usage_from_message(message.usage)
                    case "finish":
                        ended = True
                        yield replies.finished_answer(
                            message.finish, "".join(pieces), tuple(citations), usage
                        )
        if not ended:
            raise InternalError("the stream ended without saying how the answer did")

    def search(self, query: SearchQuery) -> SearchResult:
        """The chunks closest to a query."""
        reply = self._asking.Search(requests.search_request(query), metadata=self._metadata)
        return replies.search_result_of(reply)

    def create_collection(self, new: NewCollection) -> Collection:
        """Make an empty collection."""
        request = requests.create_collection_request(new)
        reply = self._collections.CreateCollection(request, metadata=self._metadata)
        return replies.collection_of(reply.collection)

    def get_collection(self, name: str) -> Collection:
        """One collection."""
        request = collection_pb.GetCollectionRequest(name=name)
        reply = self._collections.GetCollection(request, metadata=self._metadata)
        return replies.collection_of(reply.collection)

    def list_collections(self, page: PageRequest) -> Page[Collection]:
        """Collections by name."""
        request = collection_pb.ListCollectionsRequest(page_size=page.size, page_token=page.token)
        reply = self._collections.ListCollections(request, metadata=self._metadata)
        found = tuple(replies.collection_of(collection) for collection in reply.collections)
        return Page(found, reply.next_page_token)

    def update_collection(self, name: str, change: CollectionChange) -> Collection:
        """Change what needs no new index version."""
        request = requests.update_collection_request(name, change)
        reply = self._collections.UpdateCollection(request, metadata=self._metadata)
        return replies.collection_of(reply.collection)

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all its documents."""
        request = collection_pb.DeleteCollectionRequest(name=name)
        self._collections.DeleteCollection(request, metadata=self._metadata)

    def create_document(self, collection: str, upload: Upload) -> Accepted:
        """Accept one document; a large one is sent piece by piece."""
        if len(upload.content) > UNARY_BYTES:
            stream = self._documents.UploadDocument(
                _pieces(collection, upload), metadata=self._metadata
            )
            return replies.accepted_of((stream).accepted)
        request = pb.CreateDocumentRequest(
            collection=collection, document=requests.new_document(upload)
        )
        reply = self._documents.CreateDocument(request, metadata=self._metadata)
        return replies.accepted_of(reply.accepted)

    def create_documents(
        self, collection: str, uploads: Sequence[Upload]
    ) -> tuple[Accepted | RagmeshError, ...]:
        """What became of each document; they go in one message, which has to fit."""
        request = pb.BatchCreateDocumentsRequest(
            collection=collection, documents=[requests.new_document(one) for one in uploads]
        )
        reply = self._documents.BatchCreateDocuments(request, metadata=self._metadata)
        return tuple(
            replies.accepted_of(outcome.accepted)
            if outcome.WhichOneof("outcome") == "accepted"
            else from_status(outcome.refused)
            for outcome in reply.outcomes
        )

    def update_document(
        self, collection: str, document_id: str, change: DocumentChange
    ) -> Accepted:
        """Change attributes."""
        request = requests.update_document_request(collection, document_id, change)
        reply = self._documents.UpdateDocument(request, metadata=self._metadata)
        return replies.accepted_of(reply.accepted)

    def get_document(self, collection: str, document_id: str) -> Document:
        """One document without its content."""
        request = pb.GetDocumentRequest(collection=collection, document_id=document_id)
        reply = self._documents.GetDocument(request, metadata=self._metadata)
        return replies.document_of(reply.document)

    def get_document_text(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentText:
        """The text that spans count in."""
        request = pb.GetDocumentTextRequest(
            collection=collection, document_id=document_id, revision=_sent(revision)
        )
        reply = self._documents.GetDocumentText(request, metadata=self._metadata)
        return DocumentText(document_id, reply.revision, reply.text)

    def get_document_content(
        self, collection: str, document_id: str, *, revision: int | None = None
    ) -> DocumentContent:
        """The original bytes."""
        request = pb.GetDocumentContentRequest(
            collection=collection, document_id=document_id, revision=_sent(revision)
        )
        start = pb.ContentStart()
        content = bytearray()
        stream = self._documents.GetDocumentContent(request, metadata=self._metadata)
        with closing(opened(stream)) as messages:
            for message in messages:
                if message.WhichOneof("part") == "start":
                    start = message.start
                content += message.piece
        return DocumentContent(
            document_id, start.revision, bytes(content), start.content_type, start.filename
        )

    def list_documents(
        self, collection: str, *, filter: Filter | None = None, page: PageRequest
    ) -> Page[Document]:
        """Documents that the caller may see."""
        request = pb.ListDocumentsRequest(
            collection=collection,
            filter=None if filter is None else filter_to_message(filter),
            page_size=page.size,
            page_token=page.token,
        )
        reply = self._documents.ListDocuments(request, metadata=self._metadata)
        found = tuple(replies.document_of(document) for document in reply.documents)
        return Page(found, reply.next_page_token)

    def delete_document(self, collection: str, document_id: str) -> Accepted:
        """Delete a document; it is not found any more when this returns."""
        request = pb.DeleteDocumentRequest(collection=collection, document_id=document_id)
        reply = self._documents.DeleteDocument(request, metadata=self._metadata)
        return replies.accepted_of(reply.accepted)

    def list_revisions(
        self, collection: str, document_id: str, page: PageRequest
    ) -> Page[Revision]:
        """Revisions, the newest first."""
        request = pb.ListRevisionsRequest(
            collection=collection,
            document_id=document_id,
            page_size=page.size,
            page_token=page.token,
        )
        reply = self._documents.ListRevisions(request, metadata=self._metadata)
        found = tuple(replies.revision_of(revision) for revision in reply.revisions)
        return Page(found, reply.next_page_token)

    def restore_revision(self, collection: str, document_id: str, revision: int) -> Accepted:
        """Make an earlier content the newest revision."""
        request = pb.RestoreRevisionRequest(
            collection=collection,
            document_id=document_id,
            revision=requests.revision_number(revision),
        )
        reply = self._documents.RestoreRevision(request, metadata=self._metadata)
        return replies.accepted_of(reply.accepted)

    def get_job(self, job_id: str) -> Job:
        """One job."""
        request = pb.GetJobRequest(job_id=job_id)
        reply = self._documents.GetJob(request, metadata=self._metadata)
        return replies.job_of(reply.job)

    def list_jobs(self, *, state: JobState | None = None, page: PageRequest) -> Page[Job]:
        """Jobs, the newest first."""
        request = pb.ListJobsRequest(
            state=requests.job_state_number(state), page_size=page.size, page_token=page.token
        )
        reply = self._documents.ListJobs(request, metadata=self._metadata)
        return Page(tuple(replies.job_of(job) for job in reply.jobs), reply.next_page_token)

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job that has not ended."""
        request = pb.CancelJobRequest(job_id=job_id)
        reply = self._documents.CancelJob(request, metadata=self._metadata)
        return replies.job_of(reply.job)

    def watch_job(self, job_id: str) -> Generator[Job, None, None]:
        """The job as it is, then every change, until it ends."""
        request = pb.WatchJobRequest(job_id=job_id)

        def ask() -> object:
            return self._documents.WatchJob(request, metadata=self._metadata)

        last: Job | None = None
        with closing(followed(ask)) as messages:
            for message in messages:
                job = replies.job_of(message.job)
                if job != last:
                    yield job
                last = job


def _sent(revision: int | None) -> int | None:
    return None if revision is None else requests.revision_number(revision)


def _pieces(collection: str, upload: Upload) -> Iterator[pb.UploadDocumentRequest]:
    header = requests.document_header(upload)
    yield pb.UploadDocumentRequest(start=pb.UploadStart(collection=collection, header=header))
    for begin in range(0, len(upload.content), _PIECE_BYTES):
        piece = upload.content[begin : begin + _PIECE_BYTES]
        yield pb.UploadDocumentRequest(piece=piece)
