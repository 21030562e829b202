"""What is sent arrives equal, whatever it is: every value through its message and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh.chassis.messages import (
    answers,
    cache,
    embedding,
    generation,
    migrations,
    parts,
    qualities,
    search,
    spans,
    vectors,
)
from ragmesh.core.vectors import Vector
from tests.unit.chassis.messages import values

SUBJECTS = {
    "moment": (
        values.moments,
        parts.moment_to_message,
        lambda message: parts.moment_from_message(message, field="moment"),
    ),
    "quality": (
        values.qualities,
        qualities.quality_to_message,
        qualities.quality_from_message,
    ),
    "migration": (
        values.migrations,
        migrations.migration_to_message,
        migrations.migration_from_message,
    ),
    "migration policy": (
        values.policies,
        migrations.policy_to_message,
        migrations.policy_from_message,
    ),
    "span": (values.spans, spans.span_to_message, spans.span_from_message),
    "vector": (
        st.integers(1, 6).flatmap(values.vectors),
        vectors.vector_to_message,
        vectors.vector_from_message,
    ),
    "sentence vectors": (
        st.integers(0, 3).flatmap(values.sentence_vectors),
        vectors.sentence_vectors_to_message,
        vectors.sentence_vectors_from_message,
    ),
    "fingerprint": (
        values.fingerprints,
        vectors.fingerprint_to_message,
        vectors.fingerprint_from_message,
    ),
    "hit": (
        values.hits(3),
        search.hit_to_message,
        lambda message: search.hit_from_message(message, terms=3),
    ),
    "retrieval": (
        values.retrievals(),
        search.retrieval_to_message,
        search.retrieval_from_message,
    ),
    "answer": (values.answers, answers.answer_to_message, answers.answer_from_message),
    "citation": (values.citations, answers.citation_to_message, answers.citation_from_message),
    "usage": (values.usages, answers.usage_to_message, answers.usage_from_message),
    "turn": (values.turns, answers.turn_to_message, answers.turn_from_message),
    "stored answer": (
        values.stored_answers,
        cache.stored_answer_to_message,
        cache.stored_answer_from_message,
    ),
    "stored hits": (
        values.stored_hits,
        cache.stored_hits_to_message,
        cache.stored_hits_from_message,
    ),
    "read mark": (
        values.read_marks,
        cache.read_mark_to_message,
        cache.read_mark_from_message,
    ),
    "invalidation": (
        values.invalidations,
        cache.invalidation_to_message,
        cache.invalidation_from_message,
    ),
    "cache stats": (
        values.cache_stats,
        cache.cache_stats_to_message,
        cache.cache_stats_from_message,
    ),
    "passage": (values.passages, embedding.passage_to_message, embedding.passage_from_message),
    "text embeddings": (
        values.text_embeddings(),
        embedding.text_embeddings_to_message,
        embedding.text_embeddings_from_message,
    ),
    "passage embeddings": (
        values.passage_embeddings(),
        embedding.passage_embeddings_to_message,
        embedding.passage_embeddings_from_message,
    ),
    "encoder": (values.encoders, embedding.encoder_to_message, embedding.encoder_from_message),
    "generate query": (
        values.generate_queries,
        generation.generate_query_to_message,
        generation.generate_query_from_message,
    ),
    "generation event": (
        values.generation_events,
        generation.generation_event_to_message,
        generation.generation_event_from_message,
    ),
    "rewrite query": (
        values.rewrite_queries,
        generation.rewrite_query_to_message,
        generation.rewrite_query_from_message,
    ),
    "rewritten question": (
        values.rewritten,
        generation.rewritten_to_message,
        generation.rewritten_from_message,
    ),
    "engine": (values.engines, generation.engine_to_message, generation.engine_from_message),
}


@pytest.mark.parametrize(
    ("of", "to_message", "from_message"), SUBJECTS.values(), ids=SUBJECTS.keys()
)
# Whole retrievals are drawn, which a busy machine takes its time for.
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_sent_arrives_equal(
    data: st.DataObject,
    of: st.SearchStrategy[Any],
    to_message: Callable[[Any], Message],
    from_message: Callable[[Any], Any],
) -> None:
    value = data.draw(of)
    sent = to_message(value)
    assert from_message(type(sent).FromString(sent.SerializeToString())) == value


@given(floats=st.lists(values.singles, min_size=1, max_size=6))
def test_vectors_travel_as_the_bytes_they_are(floats: list[float]) -> None:
    vector = Vector.from_floats(floats)
    assert vectors.vector_to_message(vector).values == vector.values
