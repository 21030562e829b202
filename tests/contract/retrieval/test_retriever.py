"""The gateway cannot tell retrieval beside it from retrieval far away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ragmesh.core.ids import new_uid
from ragmesh.core.metadata import Metadata
from ragmesh.gateway.ports import Retriever
from ragmesh.retrieval.service import RetrievalService
from ragmesh.testing.chunk_index_contract import INDEXER
from ragmesh.testing.retrieval import (
    FakeRetriever,
    ManualHeads,
    Publisher,
    attributes,
    document_write,
    fake_hit,
    index_spec,
)
from ragmesh.testing.retriever_contract import (
    LIBRARY,
    Library,
    RetrieverContract,
    SearchingContract,
)
from tests.contract.retrieval.services import dialled, following, local


class TestFakeRetriever(RetrieverContract):
    """What the gateway is tested with keeps what it promises."""

    @pytest.fixture(params=["fake"])
    def library(self) -> Library:
        hits = tuple(
            fake_hit(document_id, text, score=1 / place)
            for place, (document_id, text) in enumerate(LIBRARY.items(), 1)
        )
        uid = new_uid()
        fake = FakeRetriever(hits=hits, index_version_uid=uid, heads_sequence=len(LIBRARY))
        return Library(fake, uid, new_uid())


class TestRetriever(SearchingContract):
    """Retrieval passes the suite, beside its caller and over gRPC."""

    @pytest.fixture(params=["local", "client"])
    async def library(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> AsyncIterator[Library]:
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(local(tmp_path))
            heads, spec = ManualHeads(), index_spec()
            await stack.enter_async_context(following(service, heads))
            await service.create_index(INDEXER, spec)
            publisher = Publisher(spec)
            await fill(service, publisher, heads)
            retriever: Retriever = service
            if request.param == "client":
                retriever = await stack.enter_async_context(dialled(tmp_path, service))
            yield Library(retriever, spec.index_version_uid, spec.collection_uid)


async def fill(service: RetrievalService, publisher: Publisher, heads: ManualHeads) -> None:
    for document_id, text in LIBRARY.items():
        metadata = Metadata.parse({"id": document_id})
        given = attributes(document_id, metadata=metadata)
        write = document_write(publisher.spec, document_id, text, given=given)
        await service.write_chunks(INDEXER, write)
        await heads.say(publisher.publish(document_id))
