"""What the index is written with, and heads, are the same at both ends of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.api.indexing.v1 import head_service_pb2
from ragmesh.api.retrieval.v1 import index_pb2, retrieval_service_pb2
from ragmesh.api.types.v1 import access_pb2
from ragmesh.chassis.messages import heads, index, retrieving
from ragmesh.core.callers import ADMINS_ONLY, Access
from ragmesh.core.errors import InvalidError, InvalidLimitError, InvalidVectorError
from ragmesh.core.filters import Eq
from ragmesh.core.index import (
    Attributes,
    AttributesWrite,
    Chunk,
    ChunkDraft,
    DocumentDigest,
    DocumentWrite,
    Head,
    HeadBatch,
    IndexDescription,
)
from ragmesh.core.metadata import declare_sortable
from ragmesh.core.questions import Question
from ragmesh.core.search import RetrieveQuery, SearchMode
from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.testing.embedding import fake_fingerprint
from ragmesh.testing.retrieval import chunks, document_write, index_spec

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(0, 2**32 - 1)
ACCESSES = st.builds(Access, st.one_of(st.none(), st.lists(TEXTS, max_size=3).map(tuple)))
SPANS = st.lists(NUMBERS, min_size=2, max_size=2).map(lambda two: Span(min(two), max(two)))
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ATTRIBUTES = st.builds(
    Attributes,
    NUMBERS,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    st.frozensets(TEXTS, max_size=3),
    st.lists(st.tuples(st.integers(0, 15), FLOATS), max_size=3).map(tuple),
    ACCESSES,
)
CHUNKS = st.builds(
    Chunk,
    st.builds(
        ChunkDraft,
        NUMBERS,
        TEXTS,
        SPANS,
        st.lists(TEXTS, max_size=3).map(tuple),
        st.one_of(st.none(), NUMBERS),
        NUMBERS,
        st.lists(SPANS, max_size=3).map(tuple),
        TEXTS,
    ),
    st.lists(FLOATS, min_size=1, max_size=4).map(Vector.from_floats),
    st.one_of(
        st.none(),
        st.integers(0, 3).map(lambda rows: SentenceVectors(4, bytes(range(4 * rows)))),
    ),
)
HEADS = st.builds(Head, TEXTS, NUMBERS, NUMBERS, ACCESSES, NUMBERS, TEXTS, NUMBERS, st.booleans())
VALUES = st.one_of(
    ATTRIBUTES.map(lambda v: (v, index.attributes_to_message, index.attributes_from_message)),
    CHUNKS.map(lambda v: (v, index.chunk_to_message, index.chunk_from_message)),
    st.builds(AttributesWrite, TEXTS, TEXTS, NUMBERS, ATTRIBUTES).map(
        lambda v: (v, index.attributes_write_to_message, index.attributes_write_from_message)
    ),
    st.builds(DocumentDigest, TEXTS, NUMBERS, NUMBERS, NUMBERS, TEXTS).map(
        lambda v: (v, index.digest_to_message, index.digest_from_message)
    ),
    st.builds(IndexDescription, TEXTS, st.just(fake_fingerprint()), *[NUMBERS] * 3).map(
        lambda v: (v, index.description_to_message, index.description_from_message)
    ),
    st.builds(HeadBatch, TEXTS, st.lists(HEADS, max_size=3).map(tuple), NUMBERS, st.booleans()).map(
        lambda v: (v, heads.head_batch_to_message, heads.head_batch_from_message)
    ),
)


def arrived(message: Message) -> Any:
    return type(message).FromString(message.SerializeToString())


@given(VALUES)
def test_what_the_index_is_told_and_tells_arrives_as_it_was(
    sent: tuple[Any, Callable[[Any], Message], Callable[[Any], Any]],
) -> None:
    value, to_message, from_message = sent
    assert from_message(arrived(to_message(value))) == value


@pytest.mark.parametrize("restricted", [True, False])
def test_an_index_version_arrives_with_everything_it_is_made_of(restricted: bool) -> None:
    spec = index_spec(
        language="de",
        sortable=declare_sortable({"year": "number"}),
        default_restricted=restricted,
    )
    assert index.index_spec_from_message(arrived(index.index_spec_to_message(spec))) == spec


@pytest.mark.parametrize("mode", SearchMode)
@pytest.mark.parametrize(
    "more",
    [{}, {"filter": Eq("n", 10**30), "score_threshold": 0.0, "explain": True, "context_tokens": 0}],
)
def test_a_search_arrives_as_it_was(mode: SearchMode, more: dict[str, Any]) -> None:
    query = RetrieveQuery("version", "collection", Question.parse("Why?"), 200, mode, **more)
    message = arrived(retrieving.retrieve_query_to_message(query))
    assert retrieving.retrieve_query_from_message(message) == query


@pytest.mark.parametrize("limit", [-1, 0, 201, 2**40])
def test_a_limit_out_of_range_is_refused_before_it_is_sent(limit: int) -> None:
    query = RetrieveQuery("version", "collection", Question.parse("Why?"), limit)
    with pytest.raises(InvalidLimitError):
        retrieving.retrieve_query_to_message(query)


def write_of(messages: list[retrieval_service_pb2.WriteChunksRequest]) -> DocumentWrite:
    start, *batches = map(arrived, messages)
    found = [index.chunk_from_message(one) for batch in batches for one in batch.batch.chunks]
    return index.document_write_from_parts(start.start, found)


@pytest.mark.parametrize("count", [0, 1, 1_000])
def test_a_write_arrives_in_messages_of_bounded_size(count: int) -> None:
    write = document_write(
        index_spec(), "a", *[f"One. Two. {n} " + "x" * 1_500 for n in range(count)]
    )
    messages = list(index.document_write_to_messages(write))
    assert write_of(messages) == write
    assert max(message.ByteSize() for message in messages) < 1_100_000
    assert len(messages) < 10


def test_a_chunk_larger_than_a_batch_goes_alone() -> None:
    write = document_write(index_spec(), "a", "small", "x" * 3_000_000, "small")
    messages = list(index.document_write_to_messages(write))
    assert [len(message.batch.chunks) for message in messages] == [0, 1, 1, 1]
    assert write_of(messages) == write


def test_a_write_that_lost_a_chunk_is_refused() -> None:
    write = document_write(index_spec(), "a", "one", "two")
    start, batch = index.document_write_to_messages(write)
    del batch.batch.chunks[1]
    with pytest.raises(InvalidError) as caught:
        write_of([start, batch])
    assert [violation.field for violation in caught.value.violations] == ["batch.chunks"]


def indexed(change: Callable[[index_pb2.IndexedChunk], object]) -> index_pb2.IndexedChunk:
    (chunk,) = chunks("One. Two.")
    message = index.chunk_to_message(chunk)
    change(message)
    return message


def torn(message: index_pb2.IndexedChunk) -> None:
    message.vector.values = b"abc"


def backwards(message: index_pb2.IndexedChunk) -> None:
    message.chunk.span.start, message.chunk.span.end = 9, 3


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        pytest.param(torn, InvalidVectorError, "chunk.vector", id="half a number"),
        pytest.param(backwards, InvalidError, "chunk.span", id="a span that runs backwards"),
        pytest.param(
            lambda m: m.ClearField("vector"), InvalidError, "chunk.vector", id="no vector"
        ),
        pytest.param(lambda m: m.ClearField("chunk"), InvalidError, "chunk.chunk", id="no text"),
    ],
)
def test_a_chunk_that_no_peer_may_send_is_refused_with_its_field(
    change: Callable[[index_pb2.IndexedChunk], object], error: type[InvalidError], field: str
) -> None:
    with pytest.raises(error) as caught:
        index.chunk_from_message(indexed(change))
    assert [violation.field for violation in caught.value.violations] == [field]


def test_a_head_that_says_nothing_of_access_lets_administrators_in_only() -> None:
    assert heads.head_from_message(head_service_pb2.Head()).access == ADMINS_ONLY


def test_a_head_with_groups_beside_everyone_is_refused() -> None:
    both = access_pb2.Access(everyone=True, groups=["a"])
    with pytest.raises(InvalidError) as caught:
        heads.head_from_message(head_service_pb2.Head(access=both))
    assert [violation.field for violation in caught.value.violations] == ["heads.access"]


def test_attributes_without_a_write_are_refused() -> None:
    with pytest.raises(InvalidError) as caught:
        index.attributes_write_from_message(retrieval_service_pb2.UpdateAttributesRequest())
    assert [violation.field for violation in caught.value.violations] == ["attributes"]
