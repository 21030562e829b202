"""What can be uploaded through the real doors, and what is refused with one clear reason."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, cast

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from ragmesh.api.gateway.v1 import document_pb2, document_service_pb2
from ragmesh.api.gateway.v1.document_service_pb2_grpc import DocumentServiceStub
from ragmesh.gateway.limits import GatewayLimits
from tests.e2e.meshes import EmbeddedMesh, Mesh, running
from tests.forms import END, ONE, TYPE, part

UPLOADS = "/collections/uploads/documents"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def uploads(mesh: Mesh) -> Mesh:
    """The mesh with a collection for uploads."""
    mesh.rest.post("/collections", json={"name": "uploads"})
    return mesh


@pytest.fixture(scope="module")
def embedded_uploads(embedded: EmbeddedMesh) -> Mesh:
    """The mesh of one process with that collection."""
    embedded.rest.post("/collections", json={"name": "uploads"})
    return embedded


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (part(b"file", b"", b"a.txt") + END, 400, "EMPTY_FILE"),
        (part(b"file", b"x" * (11 * MIB), b"a.txt") + END, 413, "FILE_TOO_LARGE"),
        (b"x" * (33 * MIB), 413, "BODY_TOO_LARGE"),
        (part(b"file", b"one", b"a\x07b.txt") + END, 400, "CONTROL_CHARACTERS"),
        (part(b"file", b"one", b"n" * 5_000) + END, 400, "INVALID_FILENAME"),
        (part(b"file", b"one", b"\xff.txt") + END, 400, "NOT_UTF8"),
        (ONE + part(b"metadata", b'{"a": "\xff"}') + END, 400, "NOT_UTF8"),
        (ONE + part(b"metadata", b"[1]") + END, 400, "INVALID_ARGUMENT"),
        (ONE + part(b"metadata", b"{") + END, 400, "INVALID_ARGUMENT"),
        (ONE + part(b"document_id", b"../a") + END, 400, "INVALID_NAME"),
        (ONE + ONE + part(b"document_id", b"a") + END, 400, "INVALID_ARGUMENT"),
        (ONE + ONE, 400, "FORM_BROKEN"),
        (ONE + ONE[:60], 400, "FORM_BROKEN"),
        (b"no form at all", 400, "FORM_BROKEN"),
        (ONE * 1_001 + END, 400, "BATCH_TOO_LARGE"),
    ],
    ids=[
        *("0 bytes", "11 MB", "a body of 33 MB", "a control character", "5000 characters"),
        *("a name not in UTF-8", "a text not in UTF-8", "metadata that is no object"),
        *("metadata that is no JSON", "a wrong id", "an id for two files", "no end"),
        *("broken off in a file", "no form", "1001 files"),
    ],
)
def test_a_bad_form_is_refused_whole(uploads: Mesh, body: bytes, status: int, reason: str) -> None:
    before = _count(uploads)
    reply = uploads.rest.post(UPLOADS, content=body, headers={"content-type": TYPE})
    assert (reply.status_code, reply.json()["reason"]) == (status, reason), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert _count(uploads) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"text": "\xff"}', "NOT_UTF8"),
        ('{"text": "x"}'.encode("utf-16"), "NOT_UTF8"),
        (b'{"text": "x"', "INVALID_ARGUMENT"),
        (b'{"text": "x", "metadata": [1]}', "INVALID_ARGUMENT"),
        (b'{"text": "x", "metadata": {"a": NaN}}', "INVALID_METADATA"),
        (b'{"text": "x", "document_id": "a b"}', "INVALID_NAME"),
        (b'{"text": ""}', "EMPTY_FILE"),
        (b'{"documents": []}', "INVALID_ARGUMENT"),
    ],
)
def test_bad_json_is_refused(uploads: Mesh, content: bytes, reason: str) -> None:
    kind = {"content-type": "application/json"}
    reply = uploads.rest.post(UPLOADS, content=content, headers=kind)
    assert (reply.status_code, reply.json()["reason"]) == (400, reason)


def test_a_wait_above_the_limit_is_refused(uploads: Mesh) -> None:
    for wait in ("301", "-1", "soon"):
        reply = uploads.rest.post(UPLOADS, params={"wait": wait}, json={"text": "x"})
        assert reply.status_code == 400, wait
        assert reply.json()["errors"][0]["field"] == "wait"


def test_a_form_whose_sender_goes_leaves_nothing_and_the_mesh_lives(uploads: Mesh) -> None:
    before = _count(uploads)
    address = httpx.URL(uploads.http)
    with socket.create_connection((address.host, address.port or 80)) as line:
        head = f"POST /api/v1{UPLOADS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {TYPE}\r\n"
        line.sendall(head.encode() + b"Content-Length: 100000\r\n\r\n" + ONE + ONE)
    assert _count(uploads) == before
    assert httpx.get(uploads.http + "/readyz").status_code == 200


def test_a_path_in_front_of_a_name_is_dropped(uploads: Mesh) -> None:
    for sent in ("../../etc/passwd.txt", "C:\\files\\passwd.txt", "a/b\\passwd.txt"):
        reply = uploads.rest.post(UPLOADS, files=[("file", (sent, b"names"))])
        made = reply.json()["documents"][0]["document_id"]
        content = uploads.rest.get(f"{UPLOADS}/{made}/content")
        assert content.headers["content-disposition"].endswith("''passwd.txt")


def test_each_file_of_a_form_is_judged_by_itself(uploads: Mesh) -> None:
    files: list[Any] = [("file", (f"{n}.txt", b"" if n == 2 else b"x" * n)) for n in range(1, 5)]
    reply = uploads.rest.post(UPLOADS, params={"wait": 60}, files=files)
    assert reply.status_code == 200
    told = reply.json()["documents"]
    assert [one["state"] for one in told] == ["SUCCEEDED", "REFUSED", "SUCCEEDED", "SUCCEEDED"]
    assert told[1]["error"]["reason"] == "EMPTY_FILE"


def test_a_request_with_a_key_is_done_once(uploads: Mesh) -> None:
    before = _count(uploads)
    key = {"Idempotency-Key": f"upload {before}"}
    files = [("file", ("a.txt", b"once"))]
    first = uploads.rest.post(UPLOADS, files=files, headers=key)
    again = uploads.rest.post(UPLOADS, files=files, headers=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = uploads.rest.post(UPLOADS, files=[("file", ("a.txt", b"twice"))], headers=key)
    assert (other.status_code, other.json()["reason"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    bad = uploads.rest.post(UPLOADS, files=files, headers={"Idempotency-Key": "k" * 256})
    assert (bad.status_code, bad.json()["reason"]) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert _count(uploads) == before + 1


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"text": ""}, "EMPTY_FILE"),
        ({"body": b"x" * (11 * MIB)}, "FILE_TOO_LARGE"),
        ({"text": "x", "header": {"document_id": "../a"}}, "INVALID_NAME"),
        ({"text": "x", "header": {"filename": "n" * 5_000}}, "INVALID_FILENAME"),
        ({"text": "x", "header": {"filename": "a\x07b"}}, "CONTROL_CHARACTERS"),
        ({"text": "x", "header": {"access": {"groups": [""]}}}, "INVALID_ARGUMENT"),
    ],
    ids=["0 bytes", "11 MB", "a wrong id", "5000 characters", "a control character", "no group"],
)
def test_a_bad_document_over_grpc_has_the_same_reason(
    uploads: Mesh, document: dict[str, Any], reason: str
) -> None:
    new = document_pb2.NewDocument(**document)
    request = document_service_pb2.CreateDocumentRequest(collection="uploads", document=new)
    with grpc.insecure_channel(uploads.grpc) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            DocumentServiceStub(channel).CreateDocument(request, timeout=30)
        assert _reason(caught.value) == reason


def test_a_stream_above_the_limit_and_a_text_not_in_utf_8_are_refused_over_grpc(
    uploads: Mesh,
) -> None:
    start = document_service_pb2.UploadStart(collection="uploads")
    pieces = [
        document_service_pb2.UploadDocumentRequest(start=start),
        *[document_service_pb2.UploadDocumentRequest(piece=b"x" * MIB) for _ in range(11)],
    ]
    with grpc.insecure_channel(uploads.grpc) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            DocumentServiceStub(channel).UploadDocument(iter(pieces), timeout=30)
        assert _reason(caught.value) == "FILE_TOO_LARGE"
        path = "/ragmesh.api.gateway.v1.DocumentService/CreateDocument"
        create: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as caught:
            create(b"\x0a\x02\xff\xfe", timeout=30)
        assert _reason(caught.value) == "INVALID_ARGUMENT"


def _reason(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(cast("grpc.Call", error))  # a call that failed is both
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


def test_a_key_works_over_grpc_and_for_every_change(uploads: Mesh) -> None:
    before = _count(uploads)
    document = document_pb2.NewDocument(text="over gRPC")
    create = document_service_pb2.CreateDocumentRequest(collection="uploads", document=document)
    with grpc.insecure_channel(uploads.grpc) as channel:
        stub = DocumentServiceStub(channel)
        call: dict[str, Any] = {"metadata": (("idempotency-key", f"grpc {before}"),), "timeout": 30}
        made = stub.CreateDocument(create, **call).accepted
        assert stub.CreateDocument(create, **call).accepted == made
        delete = document_service_pb2.DeleteDocumentRequest(
            collection="uploads", document_id=made.document_id
        )
        gone = stub.DeleteDocument(delete, **call)
        assert stub.DeleteDocument(delete, **call) == gone
    assert _count(uploads) == before


def test_a_key_is_known_when_the_mesh_was_killed(tmp_path_factory: Any) -> None:
    data_dir = tmp_path_factory.mktemp("keys") / "data"
    key = {"Idempotency-Key": "before the kill"}
    with running(data_dir) as mesh:
        mesh.rest.post("/collections", json={"name": "uploads"})
        first = mesh.rest.post(UPLOADS, json={"text": "durable"}, headers=key)
        mesh.stop(signal.SIGKILL)
    with running(data_dir) as mesh:
        again = mesh.rest.post(UPLOADS, json={"text": "durable"}, headers=key)
        assert again.json() == first.json()
        assert _count(mesh) == 1


def test_uploads_above_the_room_are_told_when_to_come_again(embedded_uploads: Mesh) -> None:
    small = {"text": "small"}
    with ExitStack() as lines:
        for _ in range(GatewayLimits().upload_bytes // (32 * MIB)):
            _announce(embedded_uploads, 32 * MIB, lines)
        reply = embedded_uploads.rest.post(UPLOADS, json=small)
        assert reply.status_code == 429
        assert reply.json()["reason"] == "OVERLOADED"
        assert reply.headers["retry-after"] == "1"
    late = time.monotonic() + 20
    while (reply := embedded_uploads.rest.post(UPLOADS, json=small)).status_code == 429:
        assert time.monotonic() < late
    assert reply.status_code == 202


def _announce(mesh: Mesh, size: int, lines: ExitStack) -> None:
    """An upload that holds its room but sends no more than its first part.

    The mesh says to go on once it waits for the body, so the room is taken before that.
    """
    address = httpx.URL(mesh.http)
    line = lines.enter_context(socket.create_connection((address.host, address.port or 80), 20))
    head = f"POST /api/v1{UPLOADS} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {TYPE}\r\n"
    line.sendall(f"{head}Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert line.recv(1024).startswith(b"HTTP/1.1 100 ")
    line.sendall(ONE)


def test_the_same_document_at_the_same_time_is_one_revision(embedded_uploads: Mesh) -> None:
    rest = embedded_uploads.rest

    def upload(_number: int) -> str:
        reply = rest.post(UPLOADS, json={"document_id": "twin", "text": "the same"})
        assert reply.status_code in (200, 202), reply.text
        return str(reply.json()["documents"][0]["job_id"])

    with ThreadPoolExecutor(8) as pool:
        jobs = set(pool.map(upload, range(16)))
    assert len(jobs) == 1
    revisions = rest.get(f"{UPLOADS}/twin/revisions").json()["revisions"]
    assert [one["revision"] for one in revisions] == [1]


@pytest.mark.faults
def test_of_a_thousand_uploads_at_once_none_is_lost(embedded_uploads: Mesh) -> None:
    rest = embedded_uploads.rest
    rest.post("/collections", json={"name": "thousand"})
    documents = "/collections/thousand/documents"
    limits = httpx.Limits(max_connections=100)
    with httpx.Client(base_url=rest.base_url, timeout=120, limits=limits) as client:

        def upload(number: int) -> int:
            body = {"document_id": f"d{number}", "text": f"Text {number}."}
            reply = client.post(documents, json=body)
            if reply.status_code == 429:
                assert reply.json()["reason"] == "OVERLOADED"
                assert int(reply.headers["retry-after"]) >= 1
            return reply.status_code

        with ThreadPoolExecutor(100) as pool:
            answers = Counter(pool.map(upload, range(1_000)))
    assert set(answers) <= {200, 202, 429}
    listed = rest.get("/collections/thousand").json()["documents"]
    assert listed == answers[200] + answers[202]
    rest.delete("/collections/thousand")


def _count(mesh: Mesh) -> int:
    return int(mesh.rest.get("/collections/uploads").json()["documents"])
