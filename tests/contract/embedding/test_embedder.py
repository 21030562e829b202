"""Embedding keeps its promises as a fake, in this process and over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.core.errors import (
    BatchTooLargeError,
    BodyTooLargeError,
    EmbedderOverloadedError,
    MethodDeniedError,
)
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Passage
from ragmesh.embedding.server import EmbeddingServicer
from ragmesh.embedding.service import EmbeddingService
from ragmesh.indexing.ports import Embedder as PassageEmbedder
from ragmesh.retrieval.ports import Embedder as TextEmbedder
from ragmesh.testing.embedding import FakeEmbedder, FakeEncoder
from ragmesh.testing.embedding_contract import PassageEmbedderContract, TextEmbedderContract
from tests.contract.lines import Dial

MIB = 1024 * 1024


class TestTextEmbedder(TextEmbedderContract):
    """As retrieval asks."""

    @pytest.fixture(params=["fake", "local", "client"])
    async def embedder(
        self, request: pytest.FixtureRequest, service: EmbeddingService, dial: Dial
    ) -> AsyncIterator[TextEmbedder]:
        if request.param == "client":
            async with dial("retrieval") as client:
                yield client
        else:
            yield FakeEmbedder() if request.param == "fake" else service


class TestPassageEmbedder(PassageEmbedderContract):
    """As indexing asks."""

    @pytest.fixture(params=["fake", "local", "client"])
    async def embedder(
        self, request: pytest.FixtureRequest, service: EmbeddingService, dial: Dial
    ) -> AsyncIterator[PassageEmbedder]:
        if request.param == "client":
            async with dial("indexer") as client:
                yield client
        else:
            yield FakeEmbedder() if request.param == "fake" else service


@pytest.fixture
def many() -> tuple[FakeEncoder, ...]:
    """More encoders than stand on one page."""
    return tuple(FakeEncoder(f"encoder-{number}") for number in range(101))


class TestManyEncoders:
    """A list that is longer than a page is as long over the wire."""

    @pytest.fixture
    def encoders(self, many: tuple[FakeEncoder, ...]) -> tuple[FakeEncoder, ...]:
        return many

    async def test_every_encoder_is_listed_the_default_first(
        self, dial: Dial, many: tuple[FakeEncoder, ...]
    ) -> None:
        async with dial("indexer") as client:
            listed = await client.list_encoders()
            named = await client.embed_passages([Passage("text", ())], encoder="encoder-100")
        assert listed == tuple(encoder.description for encoder in many)
        assert named.fingerprint == many[100].description.fingerprint


@pytest.mark.parametrize("mebibytes", [17, 40], ids=["told by the service", "told by gRPC"])
async def test_a_batch_above_the_message_limit_is_refused_and_never_split(
    dial: Dial, encoders: tuple[FakeEncoder, ...], mebibytes: int
) -> None:
    async with dial("indexer") as client:
        with pytest.raises(BodyTooLargeError):
            await client.embed_passages([Passage("x" * MIB, ())] * mebibytes)
        assert len((await client.embed_passages([Passage("still there", ())])).passages) == 1
    assert len(encoders[0].passage_batches) == 1


async def test_the_largest_batch_that_the_service_takes_fits_a_message(dial: Dial) -> None:
    four_bytes_each = "\U0001f600" * 2_000
    largest = [Passage(four_bytes_each, (Span(0, 2_000),))] * 1_000
    async with dial("indexer") as client:
        assert len((await client.embed_passages(largest)).passages) == 1_000
        with pytest.raises(BatchTooLargeError):
            await client.embed_passages([Passage("one more", ())] * 1_001)


@dataclass(slots=True)
class Retrained(FakeEncoder):
    """An encoder whose tokenizer changes, as that of a service that is restarted does."""

    tokenizer_json: bytes = b"one"

    @property
    def tokenizer(self) -> bytes:
        return self.tokenizer_json


class TestTokenizers:
    """A tokenizer is sent once, and again when it is another one."""

    @pytest.fixture
    def encoders(self) -> tuple[FakeEncoder, ...]:
        return (Retrained(),)

    async def test_the_client_has_the_tokenizer_of_now(
        self, dial: Dial, encoders: tuple[Retrained]
    ) -> None:
        async with dial("indexer") as client:
            for now in (b"one", b"one", b"two", b"", b"one"):
                encoders[0].tokenizer_json = now
                assert await client.get_tokenizer("fake") == now

    async def test_a_tokenizer_that_the_caller_has_is_not_sent_again(
        self, service: EmbeddingService
    ) -> None:
        servicer = EmbeddingServicer(service)
        context: Any = None  # nothing is asked of it
        sent = await servicer.GetTokenizer(pb.GetTokenizerRequest(encoder="fake"), context)
        assert (sent.tokenizer_json, sent.unchanged) == (b"one", False)
        known = pb.GetTokenizerRequest(encoder="fake", known_sha256=sha256(b"one").hexdigest())
        again = await servicer.GetTokenizer(known, context)
        assert (again.tokenizer_json, again.unchanged) == (b"", True)


async def test_an_overload_is_told_as_what_it_is(
    dial: Dial, encoders: tuple[FakeEncoder, ...]
) -> None:
    encoders[0].failure = EmbedderOverloadedError("full", retry_after_seconds=-1.0)
    async with dial("retrieval") as client:
        with pytest.raises(EmbedderOverloadedError):
            await client.embed_texts(["tide"])


@pytest.mark.parametrize("machine", ["cache", "generation"])
async def test_who_may_not_embed_passages_is_refused(dial: Dial, machine: str) -> None:
    async with dial(machine) as client:
        with pytest.raises(MethodDeniedError):
            await client.embed_passages([Passage("text", ())])
