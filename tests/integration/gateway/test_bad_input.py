"""Input that no client of good will sends: refused with a reason, and the next one is served."""

from __future__ import annotations

import asyncio

import grpc
import httpx
import pytest

from ragmesh.api.gateway.v1 import collection_service_pb2 as pb
from ragmesh.api.gateway.v1 import document_service_pb2 as documents_pb
from ragmesh.api.gateway.v1.collection_service_pb2_grpc import CollectionServiceStub
from ragmesh.api.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from ragmesh.chassis.grpc_servers import GrpcServer
from tests.integration.gateway.test_doors import refusal
from tests.plain_calls import bytes_call

HANDBOOK = pb.GetCollectionRequest(name="handbook")
ENOUGH = 10.0
ELSEWHERE = (
    "..",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "a/../b",
    "/etc/passwd",
    "a\0b",
    "%2e%2e",
)


async def test_ten_thousand_metadata_entries_are_refused_and_the_next_call_is_served(
    grpc_server: GrpcServer,
) -> None:
    many = tuple((f"a{number}", "b") for number in range(10_000))
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        stub = CollectionServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetCollection(HANDBOOK, metadata=many)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.GetCollection(HANDBOOK)).collection.name == "handbook"


async def test_a_field_of_a_newer_contract_is_passed_over(grpc_server: GrpcServer) -> None:
    unknown = b"\xfa\x3f\x03new"  # field 1023
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        call = bytes_call(channel, "/ragmesh.api.gateway.v1.CollectionService/GetCollection")
        reply = await call(HANDBOOK.SerializeToString() + unknown)
    assert pb.GetCollectionResponse.FromString(reply).collection.name == "handbook"


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\x02\x00"])
async def test_what_is_no_http_2_gets_no_answer_and_disturbs_nobody(
    grpc_server: GrpcServer, sent: bytes
) -> None:
    host, _, port = grpc_server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), ENOUGH)  # to the end of the connection
    writer.close()
    assert b"handbook" not in said
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        assert await CollectionServiceStub(channel).GetCollection(HANDBOOK)


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_a_name_that_leads_elsewhere_is_no_name_at_either_door(
    grpc_server: GrpcServer, http: httpx.AsyncClient, name: str
) -> None:
    async with grpc.aio.insecure_channel(grpc_server.address) as channel:
        request = documents_pb.GetDocumentTextRequest(collection="handbook", document_id=name)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await DocumentServiceStub(channel).GetDocumentText(request)
    assert refusal(caught.value) == ("INVALID_NAME", "document_id")
    escaped = "".join(f"%{byte:02x}" for byte in name.encode())
    for path in (f"handbook/documents/{escaped}/content", f"{escaped}/documents/a/content"):
        reply = await http.get(f"/api/v1/collections/{path}")
        assert (reply.status_code, reply.json()["reason"]) in (
            (400, "INVALID_NAME"),
            (404, "NOT_FOUND"),  # an escaped slash is one to the router
        )


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        ("application/x-www-form-urlencoded", b"question=why", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("text/plain", b'{"question": "why"}', 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("application/json", b'{"question": "why", "unknown": 1}', 400, "INVALID_ARGUMENT"),
        ("application/json", b'{"question": "why"', 400, "INVALID_ARGUMENT"),
        ("application/json", b"[" * 100_000, 400, "INVALID_ARGUMENT"),
        ("application/json", b"\xff\xfe", 400, "INVALID_ARGUMENT"),
        ("application/json", b'{"question": NaN}', 400, "INVALID_ARGUMENT"),
    ],
)
async def test_a_body_that_is_no_question_is_refused_for_what_it_is(
    http: httpx.AsyncClient, kind: str, body: bytes, status: int, reason: str
) -> None:
    reply = await http.post(
        "/api/v1/collections/handbook/ask", content=body, headers={"content-type": kind}
    )
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)
    assert reply.headers["x-request-id"] == reply.json()["request_id"]
