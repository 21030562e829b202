"""Both doors refuse bad input for the same reason."""

from __future__ import annotations

from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from ragmesh.api.gateway.v1 import ask_service_pb2 as pb
from ragmesh.api.gateway.v1.ask_service_pb2_grpc import AskServiceStub
from ragmesh.chassis.grpc_servers import GrpcServer

BAD = [
    ({"question": ""}, "EMPTY_QUESTION", "question"),
    ({"question": " \n\t "}, "EMPTY_QUESTION", "question"),
    ({"question": "x" * 1_000_000}, "QUESTION_TOO_LONG", "question"),
    ({"question": "a\u0000b"}, "CONTROL_CHARACTERS", "question"),
    ({"question": "a\u001bb"}, "CONTROL_CHARACTERS", "question"),
    ({"question": "why", "limit": 0}, "INVALID_LIMIT", "limit"),
    ({"question": "why", "limit": 10**9}, "INVALID_LIMIT", "limit"),
]


@pytest.mark.parametrize(("body", "reason", "field"), BAD)
async def test_a_bad_question_is_refused_alike(
    grpc_server: GrpcServer,
    http: httpx.AsyncClient,
    body: dict[str, Any],
    reason: str,
    field: str,
) -> None:
    reply = await http.post("/api/v1/collections/handbook/ask", json=body)
    assert reply.status_code == 400
    assert (reply.json()["reason"], reply.json()["errors"][0]["field"]) == (reason, field)
    assert await refused_ask(grpc_server, "handbook", body) == (reason, field)


@pytest.mark.parametrize(("body", "reason", "field"), BAD)
async def test_a_bad_search_is_refused_alike(
    grpc_server: GrpcServer,
    http: httpx.AsyncClient,
    body: dict[str, Any],
    reason: str,
    field: str,
) -> None:
    body = {"query" if name == "question" else name: value for name, value in body.items()}
    field = "query" if field == "question" else field
    reply = await http.post("/api/v1/collections/handbook/search", json=body)
    assert (reply.json()["reason"], reply.json()["errors"][0]["field"]) == (reason, field)
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        request = ParseDict({**body, "collection": "handbook"}, pb.SearchRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await AskServiceStub(channel).Search(request)
    assert refusal(caught.value) == (reason, field)


@pytest.mark.parametrize(
    ("collection", "status", "reason"),
    [("elsewhere", 404, "COLLECTION_NOT_FOUND"), ("No-Name", 400, "INVALID_NAME")],
)
async def test_an_unknown_collection_is_refused_alike(
    grpc_server: GrpcServer,
    http: httpx.AsyncClient,
    collection: str,
    status: int,
    reason: str,
) -> None:
    reply = await http.post(f"/api/v1/collections/{collection}/ask", json={"question": "why"})
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)
    assert (await refused_ask(grpc_server, collection, {"question": "why"}))[0] == reason


async def refused_ask(server: GrpcServer, collection: str, body: dict[str, Any]) -> tuple[str, str]:
    """The reason and the field for which a question is refused, in one piece and as a stream."""
    request = ParseDict({**body, "collection": collection}, pb.AskRequest())
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = AskServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Ask(request)
        with pytest.raises(grpc.aio.AioRpcError) as streamed:
            async for _ in stub.StreamAnswer(pb.StreamAnswerRequest(ask=request)):
                pass
    assert refusal(caught.value) == refusal(streamed.value)
    return refusal(caught.value)


def refusal(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """The reason of an error and its first field."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info, bad = ErrorInfo(), BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info.reason, bad.field_violations[0].field if bad.field_violations else ""
