"""The gateway over gRPC, with its client."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial

import grpc
import pytest

from ragmesh.api.indexing.v1.catalog_service_pb2 import GetCollectionRequest
from ragmesh.api.indexing.v1.catalog_service_pb2_grpc import CatalogServiceStub
from ragmesh.chassis.grpc_servers import GrpcServer, ServerOptions, serve
from ragmesh.clients.gateway import GatewayClient, gateway_client
from ragmesh.core.answers import Answer, Citation, Delta
from ragmesh.core.callers import Access, Machine
from ragmesh.core.documents import (
    Accepted,
    CollectionChange,
    DocumentChange,
    JobState,
    NewCollection,
    Stage,
    Upload,
)
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    EmptyFileError,
    ExhaustedError,
    FileTooLargeError,
    InvalidMetadataError,
    JobFinishedError,
    JobNotFoundError,
    RevisionNotFoundError,
    UnavailableError,
)
from ragmesh.core.filters import Eq
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.core.questions import Question
from ragmesh.core.search import SearchQuery
from ragmesh.core.usage import AuditQuery, SightQuery, UsageBatch, UsagePeriod, UsageQuery
from ragmesh.gateway.parsing import parse_ask
from ragmesh.gateway.server import SERVICE_NAMES, add_gateway
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from ragmesh.testing.records_contract import JANUARY, used
from tests.integration.gateway.conftest import GUARD
from tests.plain_calls import services_shown

ASK = parse_ask(COLLECTION, "How many days?")
MIB = 1024 * 1024


async def test_the_public_listener_shows_the_gateway_and_nothing_else(
    grpc_server: GrpcServer,
) -> None:
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        assert await services_shown(channel) == {
            "ragmesh.api.gateway.v1.AdminService",
            "ragmesh.api.gateway.v1.AskService",
            "ragmesh.api.gateway.v1.CollectionService",
            "ragmesh.api.gateway.v1.DocumentService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await CatalogServiceStub(channel).GetCollection(GetCollectionRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_answer_comes_in_one_piece_or_as_a_stream(client: GatewayClient) -> None:
    whole = await client.ask(ASK)
    *pieces, last = [event async for event in client.stream_answer(ASK)]
    assert whole.answer == f"{SENTENCE} [1]"
    assert whole.request_id
    assert isinstance(last, Answer)
    assert (last.answer, last.citations) == (whole.answer, whole.citations)
    assert last.cached
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == whole.answer
    assert tuple(piece for piece in pieces if isinstance(piece, Citation)) == whole.citations


async def test_a_search_finds_chunks(client: GatewayClient) -> None:
    result = await client.search(SearchQuery(COLLECTION, Question.parse("leave")))
    assert [hit.text for hit in result.hits] == [SENTENCE]
    assert result.heads_sequence == 1


async def test_an_error_in_mid_stream_is_the_class_that_was_raised(
    client: GatewayClient, mesh: FakeMesh
) -> None:
    mesh.generator.error = UnavailableError("the provider is away")
    async with aclosing(client.stream_answer(ASK)) as events:
        assert isinstance(await anext(events), Delta)
        with pytest.raises(UnavailableError, match="provider"):
            await anext(events)


async def test_who_goes_away_stops_the_engine(
    client: GatewayClient, mesh: FakeMesh, left: asyncio.Event
) -> None:
    mesh.generator.hold = asyncio.Event()
    async with aclosing(client.stream_answer(ASK)) as events:
        await anext(events)
    async with asyncio.timeout(5):
        await left.wait()
    assert not mesh.cache.stores


async def test_collections_live_and_die(client: GatewayClient) -> None:
    made = await client.create_collection(NewCollection("papers", description="All"))
    assert made.uid
    with pytest.raises(CollectionExistsError):
        await client.create_collection(NewCollection("papers"))
    changed = await client.update_collection("papers", CollectionChange(description="Some"))
    assert changed.description == "Some"
    assert (await client.get_collection("papers")).description == "Some"
    first = await client.list_collections(PageRequest(1))
    rest = await client.list_collections(PageRequest(1, first.next_token))
    assert [c.name for c in (*first.items, *rest.items)] == [COLLECTION, "papers"]
    await client.delete_collection("papers")
    with pytest.raises(CollectionNotFoundError):
        await client.get_collection("papers")


@pytest.mark.parametrize("size", [10, 5 * MIB])
async def test_a_document_of_any_size_is_accepted_and_read_back(
    client: GatewayClient, size: int
) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    upload = Upload(content, document_id="a", filename="a.bin", metadata=Metadata.parse({"y": 1}))
    accepted = await client.create_document(COLLECTION, upload)
    assert (accepted.document_id, accepted.revision) == ("a", 1)
    back = await client.get_document_content(COLLECTION, "a")
    assert (back.content, back.filename, back.revision) == (content, "a.bin", 1)
    assert (await client.get_document(COLLECTION, "a")).metadata == upload.metadata


async def test_a_stream_that_grows_too_large_is_refused(client: GatewayClient) -> None:
    with pytest.raises(FileTooLargeError):
        await client.create_document(COLLECTION, Upload(b"x" * (10 * MIB + 1)))


async def test_each_document_of_a_batch_is_judged_by_itself(client: GatewayClient) -> None:
    uploads = [Upload(b"one", document_id="a"), Upload(b""), Upload(b"three", document_id="c")]
    first, second, third = await client.create_documents(COLLECTION, uploads)
    assert isinstance(first, Accepted)
    assert isinstance(second, EmptyFileError)
    assert isinstance(third, Accepted)


async def test_documents_are_changed_listed_and_deleted(
    client: GatewayClient, mesh: FakeMesh
) -> None:
    for name, lang in (("a", "en"), ("b", "de")):
        metadata = Metadata.parse({"lang": lang})
        await client.create_document(
            COLLECTION, Upload(name.encode(), document_id=name, metadata=metadata)
        )
    await mesh.catalog.finish_all()
    assert (await client.get_document_text(COLLECTION, "a")).text == "a"
    found = await client.list_documents(COLLECTION, filter=Eq("lang", "de"), page=PageRequest())
    assert [document.document_id for document in found.items] == ["b"]
    await client.update_document(COLLECTION, "a", DocumentChange(access=Access(("hr",))))
    assert (await client.get_document(COLLECTION, "a")).access == Access(("hr",))
    await client.update_document(COLLECTION, "a", DocumentChange(reset_access=True))
    assert (await client.get_document(COLLECTION, "a")).access is None
    await client.delete_document(COLLECTION, "a")
    with pytest.raises(DocumentNotFoundError):
        await client.get_document(COLLECTION, "a")


async def test_revisions_are_listed_and_restored(client: GatewayClient, mesh: FakeMesh) -> None:
    for content in (b"one", b"two"):
        await client.create_document(COLLECTION, Upload(content, document_id="a"))
        await mesh.catalog.finish_all()
    listed = await client.list_revisions(COLLECTION, "a", PageRequest())
    assert [revision.revision for revision in listed.items] == [2, 1]
    assert (await client.get_document_text(COLLECTION, "a", revision=1)).text == "one"
    assert (await client.restore_revision(COLLECTION, "a", 1)).revision == 3
    with pytest.raises(RevisionNotFoundError):
        await client.get_document_text(COLLECTION, "a", revision=9)


async def test_jobs_are_followed_listed_and_cancelled(
    client: GatewayClient, mesh: FakeMesh
) -> None:
    accepted = await client.create_document(COLLECTION, Upload(b"one"))
    stages = []
    async with aclosing(client.watch_job(accepted.job_id)) as jobs:
        async for job in jobs:
            stages.append(job.stage)
            if len(stages) == 1:
                await mesh.catalog.start(accepted.job_id, Stage.EMBED, 50)
            elif len(stages) == 2:
                await mesh.catalog.finish(accepted.job_id)
    assert stages == [Stage.QUEUED, Stage.EMBED, Stage.DONE]
    other = await client.create_document(COLLECTION, Upload(b"two"))
    queued = await client.list_jobs(state=JobState.QUEUED, page=PageRequest())
    assert [job.job_id for job in queued.items] == [other.job_id]
    assert (await client.cancel_job(other.job_id)).state is JobState.CANCELLED
    with pytest.raises(JobFinishedError):
        await client.cancel_job(other.job_id)
    with pytest.raises(JobNotFoundError):
        await client.get_job("none")


async def test_a_job_is_followed_for_longer_than_a_connection_lives(mesh: FakeMesh) -> None:
    add = partial(add_gateway, service=mesh.service())
    aging = ServerOptions(max_connection_age_seconds=0.1, connection_grace_seconds=0.1)
    async with (
        serve(
            "127.0.0.1:0", add, service_names=SERVICE_NAMES, options=aging, guard=GUARD
        ) as server,
        gateway_client(server.address) as client,
    ):
        accepted = await client.create_document(COLLECTION, Upload(b"one"))
        async with aclosing(client.watch_job(accepted.job_id)) as jobs:
            states = [(await anext(jobs)).state]
            await asyncio.sleep(0.5)  # in which several connections end
            await mesh.catalog.finish(accepted.job_id)
            states += [job.state async for job in jobs]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED]


async def test_errors_keep_their_fields_and_their_delay(
    client: GatewayClient, mesh: FakeMesh
) -> None:
    mesh.retriever.failures = [ExhaustedError("too much", retry_after_seconds=2.5)]
    with pytest.raises(ExhaustedError) as caught:
        await client.ask(ASK)
    assert caught.value.retry_after_seconds == 2.5
    unfit = Upload(b"x", metadata=Metadata('{"a":"\\u0000"}'))
    with pytest.raises(InvalidMetadataError) as refused:
        await client.create_document(COLLECTION, unfit)
    assert refused.value.violations


async def test_a_mesh_that_is_not_there_is_unavailable() -> None:
    async with gateway_client("127.0.0.1:1", deadline_seconds=5) as nobody:
        with pytest.raises(UnavailableError):
            await nobody.ask(ASK)


async def test_usage_audit_and_sights_are_told_to_who_runs_the_mesh(
    client: GatewayClient, mesh: FakeMesh
) -> None:
    await mesh.catalog.record_usage(Machine("gateway"), UsageBatch((used("a"),)))
    month = UsageQuery("default", JANUARY, UsagePeriod.MONTH)
    (spent,) = (await client.list_usage(month, PageRequest())).items
    assert (spent.model, spent.cost_dollars) == ("gpt", 0.5)
    made = AuditQuery(action="CreateCollection")
    (entry,) = (await client.list_audit_entries(made, PageRequest())).items
    assert entry.resource == f"collections/{COLLECTION}"
    assert dict(entry.details) == {"default_access": "open"}
    of_collection = SightQuery(collection=COLLECTION)
    assert (await client.list_sights(of_collection, PageRequest())).items == ()
