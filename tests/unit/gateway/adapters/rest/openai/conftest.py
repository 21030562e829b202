"""The official client before a gateway over fakes, which answers as a mesh with that handbook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx2
import openai
import pytest

from ragmesh.core.callers import Caller
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.adapters.rest.door import Door
from ragmesh.testing.embedding import FakeEmbedder, FakeEncoder
from ragmesh.testing.gateway import SENTENCE, FakeMesh
from ragmesh.testing.retrieval import FakeRetriever, fake_hit


@dataclass(slots=True)
class EmptyBeside(FakeRetriever):
    """Finds its hits in every collection but one."""

    empty_uid: str = ""

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        found = await FakeRetriever.retrieve(self, caller, query)
        return replace(found, hits=()) if query.collection_uid == self.empty_uid else found


@pytest.fixture
async def mesh() -> FakeMesh:
    retriever = EmptyBeside(hits=(fake_hit("leave.md", SENTENCE),))
    embedder = FakeEmbedder(FakeEncoder("all-MiniLM-L6-v2"))
    mesh = FakeMesh(retriever=retriever, embedder=embedder)
    await mesh.with_collection()
    await mesh.with_collection("empty")
    (retriever.empty_uid,) = (
        one.shown.uid for one in mesh.catalog.collections.values() if one.shown.name == "empty"
    )
    return mesh


@pytest.fixture
async def client(door: Door) -> AsyncIterator[openai.AsyncOpenAI]:
    transport = httpx2.ASGITransport(app=door)
    async with (
        httpx2.AsyncClient(transport=transport) as http,
        openai.AsyncOpenAI(
            base_url="http://localhost:8080/v1", api_key="none", http_client=http, max_retries=0
        ) as client,
    ):
        yield client
