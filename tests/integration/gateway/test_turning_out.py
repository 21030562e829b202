"""What is under way ends with the key that it came with."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from ragmesh.clients.gateway import GatewayClient
from ragmesh.core.callers import Principal
from ragmesh.core.documents import Upload
from ragmesh.core.errors import KeyRevokedError, RagmeshError
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.testing.gateway import COLLECTION, FakeMesh


def revoked(_principal: Principal) -> RagmeshError:
    return KeyRevokedError("the API key was revoked")


@pytest.fixture
async def job_id(mesh: FakeMesh) -> str:
    """A job that nobody works on."""
    (accepted,) = await mesh.catalog.create_documents(
        DEVELOPER, COLLECTION, [Upload(b"text", document_id="a")]
    )
    assert not isinstance(accepted, Exception)
    return accepted.job_id


async def test_a_grpc_stream_ends_with_the_reason(
    mesh: FakeMesh, client: GatewayClient, job_id: str
) -> None:
    stream = client.watch_job(job_id)
    await anext(stream)
    mesh.gate.turn_out(revoked)
    async with asyncio.timeout(5):
        with pytest.raises(KeyRevokedError):
            await anext(stream)
    assert mesh.gate.under_way == 0


async def test_an_http_stream_is_cut_off(
    mesh: FakeMesh, http: httpx.AsyncClient, job_id: str
) -> None:
    async with asyncio.timeout(5):
        async with http.stream("GET", f"/api/v1/jobs/{job_id}/events") as reply:
            pieces = reply.aiter_text()
            assert "QUEUED" in await anext(pieces)
            mesh.gate.turn_out(revoked)
            with pytest.raises(httpx.RemoteProtocolError):
                async for _ in pieces:
                    pass
    assert mesh.gate.under_way == 0
