"""The client for programs on a served gateway: asyncio or blocking, the same is seen."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ragmesh.chassis.grpc_servers import GrpcServer
from ragmesh.clients.blocking.client import UNARY_BYTES, GatewayClient
from ragmesh.core.documents import Accepted, JobState, Upload
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    DeadlineError,
    EmptyFileError,
    InvalidNameError,
    JobNotFoundError,
    NoTextError,
    PathUnreadableError,
    PreconditionError,
    UnavailableError,
)
from ragmesh.sdk import Answer, AsyncMesh, CallOptions, Citation, Delta, Mesh, Turn
from ragmesh.testing.gateway import COLLECTION, SENTENCE, FakeMesh
from tests.unit.sdk.both import told

QUESTION = "How many days?"


@pytest.fixture(params=["aio", "blocking"])
async def sdk(request: pytest.FixtureRequest, grpc_server: GrpcServer) -> AsyncIterator[Any]:
    if request.param == "aio":
        async with AsyncMesh(grpc_server.address, api_key="unused") as mesh:
            yield mesh
    else:
        with Mesh(grpc_server.address, api_key="unused") as mesh:
            yield mesh


async def test_an_answer_comes_in_one_piece_or_as_typed_events(sdk: Any) -> None:
    answer = await told(sdk.ask, COLLECTION, QUESTION)
    assert SENTENCE in answer.answer
    events = await told(sdk.stream_answer, COLLECTION, QUESTION, cache="bypass")
    assert {type(event) for event in events} == {Delta, Citation, Answer}
    assert "".join(event.text for event in events if isinstance(event, Delta)) == answer.answer
    assert events[-1].citations == answer.citations


async def test_what_was_said_before_and_filters_go_along(sdk: Any, mesh: FakeMesh) -> None:
    history = [Turn("user", "Hello."), Turn("assistant", "Good day.")]
    answer = await told(
        sdk.ask, COLLECTION, QUESTION, history=history, filter={"exists": "lang"}, limit=3
    )
    assert answer.answer
    found = await told(sdk.search, COLLECTION, QUESTION, mode="keyword", explain=True)
    assert [hit.document_id for hit in found.hits] == ["leave.md"]


async def test_who_stops_reading_an_answer_has_the_mesh_stop(
    grpc_server: GrpcServer, mesh: FakeMesh, left: asyncio.Event
) -> None:
    def first() -> object:
        with Mesh(grpc_server.address) as blocking:
            events = blocking.stream_answer(COLLECTION, QUESTION)
            event = next(events)
            events.close()
            return event

    assert isinstance(await asyncio.to_thread(first), Delta)
    await asyncio.wait_for(left.wait(), 5)


async def test_collections_live_and_die(sdk: Any) -> None:
    made = await told(sdk.create_collection, "papers", language="de", sortable={"year": "number"})
    assert made.name == "papers"
    with pytest.raises(CollectionExistsError) as caught:
        await told(sdk.create_collection, "papers")
    assert caught.value.reason == "COLLECTION_EXISTS"
    changed = await told(sdk.update_collection, "papers", description="All of them")
    assert changed.description == "All of them"
    assert [one.name for one in await told(sdk.list_collections)] == [COLLECTION, "papers"]
    await told(sdk.delete_collection, "papers")
    with pytest.raises(CollectionNotFoundError):
        await told(sdk.get_collection, "papers")


@pytest.mark.parametrize("size", [10, UNARY_BYTES + 1])
async def test_a_document_goes_in_and_comes_out(
    sdk: Any, mesh: FakeMesh, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * size)
    accepted = await told(sdk.create_document, COLLECTION, path, metadata={"lang": "en"})
    assert accepted.document_id == "a.txt"
    await mesh.catalog.finish_all()
    job = await told(sdk.wait, accepted)
    assert job.state is JobState.SUCCEEDED
    content = await told(sdk.get_document_content, COLLECTION, "a.txt")
    assert len(content.content) == size
    document = await told(sdk.get_document, COLLECTION, "a.txt")
    assert document.metadata.fields() == {"lang": "en"}
    changed = await told(sdk.update_document, COLLECTION, "a.txt", title="A")
    await mesh.catalog.finish_all()
    await told(sdk.wait, changed)
    assert [one.title for one in await told(sdk.list_documents, COLLECTION)] == ["A"]
    await told(sdk.delete_document, COLLECTION, "a.txt")
    assert [one.state.value for one in await told(sdk.list_documents, COLLECTION)] == ["DELETING"]


async def test_each_document_of_many_is_judged_by_itself(sdk: Any, tmp_path: Path) -> None:
    sources = ["one", b"", tmp_path / "missing", b"y" * (UNARY_BYTES + 1), "five"]
    outcomes = await told(sdk.create_documents, COLLECTION, iter(sources))
    kinds = [type(one) for one in outcomes]
    assert kinds == [Accepted, EmptyFileError, PathUnreadableError, Accepted, Accepted]


async def test_a_large_document_that_cannot_be_taken_is_refused_alone(sdk: Any) -> None:
    misnamed = Upload(b"x" * (UNARY_BYTES + 1), document_id="../etc")
    outcomes = await told(sdk.create_documents, COLLECTION, [b"fine", misnamed])
    assert [type(one) for one in outcomes] == [Accepted, InvalidNameError]


async def test_waiting_raises_what_a_job_ended_with(sdk: Any, mesh: FakeMesh) -> None:
    accepted = await told(sdk.create_document, COLLECTION, b"scan")
    await mesh.catalog.fail(accepted.job_id, "NO_TEXT")
    with pytest.raises(NoTextError):
        await told(sdk.wait, accepted)
    assert (await told(sdk.wait_ended, accepted)).state is JobState.FAILED
    with pytest.raises(JobNotFoundError):
        await told(sdk.wait, "019c5a5e-0000-7000-8000-000000000000")


async def test_waiting_ends_with_its_time_and_the_job_goes_on(sdk: Any) -> None:
    accepted = await told(sdk.create_document, COLLECTION, b"slow")
    with pytest.raises(DeadlineError):
        await told(sdk.wait, accepted, timeout_seconds=0.1)
    assert (await told(sdk.get_job, accepted.job_id)).state is JobState.QUEUED
    assert (await told(sdk.cancel_job, accepted.job_id)).state is JobState.CANCELLED


async def test_nonsense_is_refused_before_anything_is_sent(sdk: Any) -> None:
    with pytest.raises(InvalidNameError):
        await told(sdk.ask, "NO COLLECTION", QUESTION)
    with pytest.raises(InvalidNameError):
        await told(sdk.stream_answer, "NO COLLECTION", QUESTION)


async def test_other_options_share_the_connection(sdk: Any) -> None:
    keyed = sdk.with_options(timeout_seconds=5, attempts=1, idempotency_key="once")
    assert keyed.options == CallOptions(timeout_seconds=5, attempts=1, idempotency_key="once")
    assert sdk.options == CallOptions()
    assert await told(keyed.get_collection, COLLECTION)


async def test_a_client_that_is_not_open_says_so(grpc_server: GrpcServer) -> None:
    with pytest.raises(PreconditionError, match="not open"):
        await told(Mesh(grpc_server.address).get_collection, COLLECTION)


async def test_nobody_at_the_address_is_an_error_after_the_last_attempt() -> None:
    options = CallOptions(attempts=2, first_delay_seconds=0.0)
    async with AsyncMesh("127.0.0.1:1", options=options) as nobody:
        with pytest.raises(UnavailableError):
            await nobody.get_collection(COLLECTION)
    with Mesh("127.0.0.1:1", options=options) as nowhere, pytest.raises(UnavailableError):
        await asyncio.to_thread(nowhere.get_collection, COLLECTION)


def test_whatever_the_contract_offers_programs_can_ask_for() -> None:
    asked = {
        name
        for name, _ in inspect.getmembers(GatewayClient, inspect.isfunction)
        if not name.startswith("_")
    }
    assert asked <= set(dir(Mesh))
