"""Each thing that a peer may not send is refused with the name of its field."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.cache.v1 import cache_service_pb2 as cache_pb
from ragmesh.api.embedding.v1 import embedding_service_pb2 as embedding_pb
from ragmesh.api.generation.v1 import generation_service_pb2 as generation_pb
from ragmesh.api.types.v1 import answer_pb2, search_pb2, text_pb2, vector_pb2
from ragmesh.chassis.messages import (
    answers,
    cache,
    embedding,
    generation,
    parts,
    questions,
    search,
    spans,
    vectors,
)
from ragmesh.core.errors import EmptyQuestionError, InvalidError, InvalidVectorError
from ragmesh.core.vectors import Lane
from ragmesh.testing.cache import stored_answer
from ragmesh.testing.embedding import fake_fingerprint
from ragmesh.testing.generation import ask_of, found, whole_citation

Sent = TypeVar("Sent", bound=Message)

PRINT = vectors.fingerprint_to_message(fake_fingerprint())
BACKWARDS = text_pb2.Span(start=2, end=1)


def floats(*numbers: float) -> vector_pb2.Vector:
    return vector_pb2.Vector(values=struct.pack(f"<{len(numbers)}f", *numbers))


def changed(message: Sent, change: Callable[[Any], object]) -> Sent:
    """A copy of the message after the change."""
    copy = type(message)()
    copy.CopyFrom(message)
    change(copy)
    return copy


def retrieval(change: Callable[[Any], object]) -> search_pb2.Retrieval:
    sound = search.retrieval_to_message(found("Do dogs bark?", ["Dogs bark. Cats do not."]))
    return changed(sound, change)


def generate_request(change: Callable[[Any], object]) -> generation_pb.GenerateRequest:
    sound = generation.generate_query_to_message(ask_of("Do dogs bark?", ["Dogs bark."]))
    return changed(sound, change)


def citation(change: Callable[[Any], object]) -> answer_pb2.Citation:
    hit = found("Do dogs bark?", ["Dogs bark."]).hits[0]
    return changed(answers.citation_to_message(whole_citation(hit)), change)


def kept(change: Callable[[Any], object]) -> cache_pb.StoredAnswer:
    return changed(cache.stored_answer_to_message(stored_answer()), change)


REFUSED: dict[str, tuple[Callable[[Any], object], Any, str]] = {
    "a span that ends before it starts": (spans.span_from_message, BACKWARDS, "span"),
    "a vector without numbers": (vectors.vector_from_message, floats(), "vector"),
    "a vector of half a number": (
        vectors.vector_from_message,
        vector_pb2.Vector(values=b"\0" * 6),
        "vector",
    ),
    "a vector with NaN": (vectors.vector_from_message, floats(0.0, math.nan), "vector"),
    "a vector with infinity": (vectors.vector_from_message, floats(math.inf, 1.0), "vector"),
    "a vector with both infinities": (
        vectors.vector_from_message,
        floats(math.inf, -math.inf),
        "vector",
    ),
    "sentence vectors of no dimension": (
        vectors.sentence_vectors_from_message,
        vector_pb2.SentenceVectors(dimension=0, values=b"ab"),
        "sentence_vectors",
    ),
    "half a sentence vector": (
        vectors.sentence_vectors_from_message,
        vector_pb2.SentenceVectors(dimension=3, values=b"abcd"),
        "sentence_vectors",
    ),
    "a fingerprint of no dimension": (
        vectors.fingerprint_from_message,
        changed(PRINT, lambda one: one.ClearField("dimension")),
        "fingerprint.dimension",
    ),
    "a fingerprint without a kind of sentences": (
        vectors.fingerprint_from_message,
        changed(PRINT, lambda one: one.ClearField("sentences")),
        "fingerprint.sentences",
    ),
    "a kind of sentences that nobody knows": (
        vectors.fingerprint_from_message,
        changed(PRINT, lambda one: setattr(one, "sentences", 99)),
        "fingerprint.sentences",
    ),
    "a retrieval without a fingerprint": (
        search.retrieval_from_message,
        retrieval(lambda one: one.ClearField("fingerprint")),
        "retrieval.fingerprint",
    ),
    "a question's vector of another dimension": (
        search.retrieval_from_message,
        retrieval(lambda one: one.query_vector.CopyFrom(floats(1.0))),
        "retrieval.query_vector",
    ),
    "a term of no weight": (
        search.retrieval_from_message,
        retrieval(lambda one: setattr(one.terms[1], "idf", math.nan)),
        "retrieval.terms[1].idf",
    ),
    "a hit without a span": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].ClearField("span")),
        "retrieval.hits[0].span",
    ),
    "a hit without a score": (
        search.retrieval_from_message,
        retrieval(lambda one: setattr(one.hits[0], "score", math.inf)),
        "retrieval.hits[0].score",
    ),
    "a hit without a similarity": (
        search.retrieval_from_message,
        retrieval(lambda one: setattr(one.hits[0], "similarity", math.nan)),
        "retrieval.hits[0].similarity",
    ),
    "a sentence without an end": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].sentences.ends.pop()),
        "retrieval.hits[0].sentences",
    ),
    "a sentence that counts words it does not bring": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].sentences.term_counts.__setitem__(0, 7)),
        "retrieval.hits[0].sentences",
    ),
    "a sentence beyond its hit": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].sentences.ends.__setitem__(1, 9_999)),
        "retrieval.hits[0].sentences.ends",
    ),
    "a sentence that runs backwards": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].sentences.starts.__setitem__(1, 9_999)),
        "retrieval.hits[0].sentences.ends",
    ),
    "a sentence with a term of another search": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].sentences.terms.__setitem__(0, 3)),
        "retrieval.hits[0].sentences.terms",
    ),
    "more sentence vectors than sentences": (
        search.retrieval_from_message,
        retrieval(lambda one: one.hits[0].ClearField("sentences")),
        "retrieval.hits[0].sentence_vectors",
    ),
    "a citation without a span": (
        answers.citation_from_message,
        citation(lambda one: one.ClearField("span")),
        "citation.span",
    ),
    "a turn of nobody": (
        answers.turn_from_message,
        answer_pb2.Turn(text="Hello."),
        "turn.role",
    ),
    "an entry without an answer": (
        cache.stored_answer_from_message,
        kept(lambda one: one.ClearField("answer")),
        "answer.answer",
    ),
    "an entry that was never read": (
        cache.stored_answer_from_message,
        kept(lambda one: one.ClearField("read_at")),
        "answer.read_at",
    ),
    "an entry that was read outside of time": (
        cache.stored_answer_from_message,
        kept(lambda one: setattr(one.read_at, "seconds", 2**62)),
        "answer.read_at",
    ),
    "an answer that did not end": (
        cache.stored_answer_from_message,
        kept(lambda one: one.answer.ClearField("status")),
        "answer.answer.status",
    ),
    "an answer that nobody can be sure of": (
        cache.stored_answer_from_message,
        kept(lambda one: setattr(one.answer, "confidence", math.nan)),
        "answer.answer.confidence",
    ),
    "an answer with a quote from nowhere": (
        cache.stored_answer_from_message,
        kept(lambda one: one.answer.citations[0].ClearField("span")),
        "answer.answer.citations[0].span",
    ),
    "counts of one kind only": (
        cache.cache_stats_from_message,
        cache_pb.GetStatsResponse(answers=cache_pb.EntryStats(), hits=cache_pb.EntryStats()),
        "vectors",
    ),
    "hits that nobody found": (
        cache.stored_hits_from_message,
        cache_pb.StoreHitsRequest(),
        "retrieval",
    ),
    "a read at no moment": (cache.read_mark_from_message, cache_pb.ReadMark(), "read.read_at"),
    "a passage with a sentence that runs backwards": (
        embedding.passage_from_message,
        embedding_pb.Passage(text="abc", sentences=[text_pb2.Span(end=1), BACKWARDS]),
        "passage.sentences[1]",
    ),
    "vectors of nobody knows what": (
        embedding.text_embeddings_from_message,
        embedding_pb.EmbedTextsResponse(),
        "fingerprint",
    ),
    "a vector of another dimension than its fingerprint's": (
        embedding.text_embeddings_from_message,
        embedding_pb.EmbedTextsResponse(
            fingerprint=PRINT, vectors=[floats(*[0.0] * 256), floats(1.0)], cut_tokens=[0, 0]
        ),
        "vectors[1]",
    ),
    "vectors without their cuts": (
        embedding.text_embeddings_from_message,
        embedding_pb.EmbedTextsResponse(fingerprint=PRINT, vectors=[floats(*[0.0] * 256)]),
        "cut_tokens",
    ),
    "a passage without a vector": (
        embedding.passage_embeddings_from_message,
        embedding_pb.EmbedPassagesResponse(
            fingerprint=PRINT, passages=[embedding_pb.PassageEmbedding()]
        ),
        "passages[0].vector",
    ),
    "an encoder without a fingerprint": (
        embedding.encoder_from_message,
        embedding_pb.EncoderDescription(name="x"),
        "encoder.fingerprint",
    ),
    "a question without evidence": (
        generation.generate_query_from_message,
        generate_request(lambda one: one.ClearField("retrieval")),
        "retrieval",
    ),
    "a question that no door lets through": (
        generation.generate_query_from_message,
        generate_request(lambda one: setattr(one, "question", "u\u0308ber")),
        "question",
    ),
    "a conversation with nobody": (
        generation.generate_query_from_message,
        generate_request(lambda one: one.history.add(text="Hello.")),
        "history[0].role",
    ),
    "an event that is none": (
        generation.generation_event_from_message,
        generation_pb.GenerateResponse(),
        "event",
    ),
    "an end that does not say how": (
        generation.generation_event_from_message,
        generation_pb.GenerateResponse(generated=generation_pb.Generated(model="x")),
        "generated.status",
    ),
}


@pytest.mark.parametrize(("read", "message", "field"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_peer_may_not_send_is_refused_by_field(
    read: Callable[[Any], object], message: Any, field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        read(message)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_a_vector_that_is_none_is_refused_by_its_own_reason() -> None:
    with pytest.raises(InvalidVectorError):
        vectors.vector_from_message(floats(1.0, 2.0), dimension=3)


def test_a_blank_question_is_refused_by_its_own_reason() -> None:
    with pytest.raises(EmptyQuestionError) as caught:
        questions.question_from_text(" \n", field="query")
    assert caught.value.violations[0].field == "query"


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_lane_that_is_none_is_refused(number: int) -> None:
    with pytest.raises(InvalidError, match="QUERY, BULK") as caught:
        embedding.LANES.member(number, field="lane")
    assert caught.value.violations[0].field == "lane"


def test_lanes_are_sent_by_their_names() -> None:
    assert embedding.LANES.number(Lane.BULK) == embedding_pb.LANE_BULK
    assert embedding.LANES.member(embedding_pb.LANE_QUERY, field="lane") is Lane.QUERY


def test_a_moment_with_more_nanoseconds_than_a_second_has_is_none() -> None:
    with pytest.raises(InvalidError):
        parts.moment_from_message(Timestamp(nanos=2_000_000_000), field="at")


def test_a_search_without_terms_takes_no_sentence_that_holds_one() -> None:
    message = search_pb2.Hit(
        text="Dogs.",
        span=text_pb2.Span(end=5),
        sentences=search_pb2.Sentences(starts=[0], ends=[5], term_counts=[1], terms=[0]),
    )
    with pytest.raises(InvalidError):
        search.hit_from_message(message, terms=0)
