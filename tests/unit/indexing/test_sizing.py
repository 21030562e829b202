"""What another index would have embedded is told by a sample, whatever the collection is like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from ragmesh.core.callers import Access
from ragmesh.core.errors import IndexVersionGoneError
from ragmesh.core.index import Chunk, ChunkDraft, Head
from ragmesh.core.spans import Span
from ragmesh.core.vectors import EncoderDescription, SentenceKind, Vector
from ragmesh.indexing.ports import ChunkIndex, PublishedHeads
from ragmesh.indexing.records import IndexVersion
from ragmesh.indexing.sizing import TokenSample, price_of
from ragmesh.testing.embedding import FakeEncoder

ENCODER = FakeEncoder().description
VERSION = cast("IndexVersion", type("Version", (), {"uid": "v1"}))


@dataclass
class Shelf:
    """Documents by uid, each with the tokens of its chunks; and who was read."""

    documents: Mapping[str, Sequence[int]]
    read: list[str] = field(default_factory=list)

    async def list_published(
        self, _version: str, *, after_document_uid: str = "", limit: int
    ) -> tuple[Head, ...]:
        uids = [uid for uid in sorted(self.documents) if uid > after_document_uid]
        return tuple(head(uid, len(self.documents[uid])) for uid in uids[:limit])

    async def last_published(self, _version: str) -> str:
        return max(self.documents, default="")

    async def read_chunks(
        self, _caller: Any, _version: str, document_uid: str, *, revision: int
    ) -> tuple[Chunk, ...]:
        assert revision == 1
        self.read.append(document_uid)
        return tuple(chunk(tokens) for tokens in self.documents[document_uid])


def head(uid: str, chunks: int) -> Head:
    return Head(uid, 1, 1, Access(None), chunks, "", 1)


def chunk(tokens: int) -> Chunk:
    draft = ChunkDraft(0, "x", Span(0, 1), (), None, tokens, ())
    return Chunk(draft, Vector.from_floats([1.0]), None)


async def tokens_of(shelf: Shelf, chunks: int, encoder: EncoderDescription = ENCODER) -> int | None:
    sample = TokenSample(cast("PublishedHeads", shelf), cast("ChunkIndex", shelf))
    return await sample.tokens(VERSION, chunks, encoder)


def uid_of(year: int, number: int) -> str:
    """A uid of a document that came in that year."""
    milliseconds = (year - 1970) * 31_556_952_000 + number
    digits = f"{milliseconds:012x}7000800000000000{number:04x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def test_an_empty_collection_has_nothing_embedded() -> None:
    assert await tokens_of(Shelf({}), 0) == 0


async def test_few_documents_speak_for_all_and_some_of_every_time_are_among_them() -> None:
    old = {uid_of(2023, number): [100] for number in range(500)}
    new = {uid_of(2026, number): [300] for number in range(500)}
    shelf = Shelf({**old, **new})
    found = await tokens_of(shelf, 1_000)
    assert found is not None
    assert 100_000 < found < 300_000
    assert len(shelf.read) <= 16
    assert {uid in old for uid in shelf.read} == {True, False}


async def test_documents_that_came_at_once_long_ago_are_sampled_in_all_their_places() -> None:
    sizes = (100, 200, 300, 400)
    shelf = Shelf({uid_of(2020, number): [sizes[number // 100]] for number in range(400)})
    assert await tokens_of(shelf, 400) == 100_000
    assert len(shelf.read) == 16


async def test_nothing_is_said_of_chunks_of_which_none_could_be_read() -> None:
    assert await tokens_of(Shelf({}), 400) is None
    assert await tokens_of(Shelf({uid_of(2026, 1): []}), 400) is None


async def test_nothing_is_said_while_the_index_does_not_know_the_version() -> None:
    class Gone(Shelf):
        async def read_chunks(
            self, _caller: Any, _version: str, document_uid: str, *, revision: int
        ) -> tuple[Chunk, ...]:
            raise IndexVersionGoneError(f"nothing of {document_uid} at revision {revision}")

    assert await tokens_of(Gone({uid_of(2026, 1): [100]}), 1) is None


async def test_long_documents_are_not_read_by_the_dozen() -> None:
    shelf = Shelf({uid_of(2026, number): [10] * 400 for number in range(16)})
    assert await tokens_of(shelf, 6_400) == 64_000
    assert len(shelf.read) == 1


async def test_one_document_that_is_longer_than_a_sample_is_read_all_the_same() -> None:
    assert await tokens_of(Shelf({uid_of(2026, 1): [7] * 2_000}), 2_000) == 14_000


async def test_sentences_with_vectors_of_their_own_are_sent_once_more() -> None:
    fingerprint = replace(ENCODER.fingerprint, sentences=SentenceKind.SEPARATE)
    encoder = replace(ENCODER, fingerprint=fingerprint)
    shelf = Shelf({uid_of(2026, 1): [50, 70]})
    assert await tokens_of(shelf, 2, encoder) == 240


@pytest.mark.parametrize(
    ("price", "tokens", "dollars"),
    [(None, 1_000, None), (0.0, 1_000, 0.0), (0.13, 2_000_000, 0.26), (0.13, None, None)],
)
def test_money_is_told_where_a_price_is_known(
    price: float | None, tokens: int | None, dollars: float | None
) -> None:
    assert price_of(tokens, replace(ENCODER, dollars_per_million_tokens=price)) == dollars
