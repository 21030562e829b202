"""What a search finds, as it goes on to generation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from operator import gt

from ragmesh.api.types.v1 import search_pb2
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import finite, refuse_missing
from ragmesh.chassis.messages.spans import span_from_message
from ragmesh.chassis.messages.vectors import (
    fingerprint_from_message,
    fingerprint_to_message,
    sentence_vectors_from_message,
    sentence_vectors_to_message,
    vector_from_message,
    vector_to_message,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.search import Hit, QueryTerm, Retrieval, Score, SearchMode, Sentence, Timings
from ragmesh.core.spans import Span

SEARCH_MODES = EnumNumbers(SearchMode, search_pb2.SearchMode)


def retrieval_to_message(retrieval: Retrieval) -> search_pb2.Retrieval:
    """The hits of one read."""
    vector = retrieval.query_vector
    return search_pb2.Retrieval(
        hits=[hit_to_message(hit) for hit in retrieval.hits],
        index_version_uid=retrieval.index_version_uid,
        heads_sequence=retrieval.heads_sequence,
        query_vector=None if vector is None else vector_to_message(vector),
        fingerprint=fingerprint_to_message(retrieval.fingerprint),
        terms=[search_pb2.QueryTerm(text=term.text, idf=term.idf) for term in retrieval.terms],
        degraded=retrieval.degraded,
        timings=timings_to_messages(retrieval.timings_ms),
    )


def retrieval_from_message(message: search_pb2.Retrieval, *, field: str = "retrieval") -> Retrieval:
    """The hits of one read, whose vectors and terms fit each other."""
    refuse_missing(message, "fingerprint", field=field)
    fingerprint = fingerprint_from_message(message.fingerprint, field=f"{field}.fingerprint")
    terms = len(message.terms)
    return Retrieval(
        hits=tuple(
            hit_from_message(hit, terms=terms, field=f"{field}.hits[{position}]")
            for position, hit in enumerate(message.hits)
        ),
        index_version_uid=message.index_version_uid,
        heads_sequence=message.heads_sequence,
        query_vector=vector_from_message(
            message.query_vector,
            field=f"{field}.query_vector",
            dimension=fingerprint.dimension,
        )
        if message.HasField("query_vector")
        else None,
        fingerprint=fingerprint,
        terms=tuple(
            QueryTerm(term.text, finite(term.idf, field=f"{field}.terms[{position}].idf"))
            for position, term in enumerate(message.terms)
        ),
        degraded=tuple(message.degraded),
        timings_ms=timings_from_messages(message.timings),
    )


def hit_to_message(hit: Hit) -> search_pb2.Hit:
    """A chunk that was found."""
    message = search_pb2.Hit(
        chunk_id=hit.chunk_id,
        document_uid=hit.document_uid,
        document_id=hit.document_id,
        revision=hit.revision,
        title=hit.title,
        text=hit.text,
        score=hit.score,
        similarity=hit.similarity,
        page=hit.page,
        headings=hit.headings,
        metadata_json=hit.metadata,
        token_count=hit.token_count,
        scores=[
            search_pb2.RankingScore(ranking=score.ranking, rank=score.rank, score=score.score)
            for score in hit.scores
        ],
    )
    message.span.SetInParent()
    message.span.start, message.span.end = hit.span.start, hit.span.end
    if hit.sentence_vectors is not None:
        message.sentence_vectors.CopyFrom(sentence_vectors_to_message(hit.sentence_vectors))
    _add_sentences(message.sentences, hit.sentences)
    return message


def hit_from_message(message: search_pb2.Hit, *, terms: int, field: str = "hit") -> Hit:
    """A chunk that was found by a search of so many terms."""
    refuse_missing(message, "span", field=field)
    sentences = _sentences(
        message.sentences, len(message.text), terms=terms, field=f"{field}.sentences"
    )
    vectors = None
    if message.HasField("sentence_vectors"):
        where = f"{field}.sentence_vectors"
        vectors = sentence_vectors_from_message(message.sentence_vectors, field=where)
        if vectors.count != len(sentences):
            raise InvalidError.of(where, "must be as many as there are sentences")
    return Hit(
        chunk_id=message.chunk_id,
        document_uid=message.document_uid,
        document_id=message.document_id,
        revision=message.revision,
        title=message.title,
        text=message.text,
        score=finite(message.score, field=f"{field}.score"),
        similarity=finite(message.similarity, field=f"{field}.similarity"),
        span=span_from_message(message.span, field=f"{field}.span"),
        page=message.page if message.HasField("page") else None,
        headings=tuple(message.headings),
        metadata=message.metadata_json,
        token_count=message.token_count,
        scores=tuple(Score(score.ranking, score.rank, score.score) for score in message.scores),
        sentences=sentences,
        sentence_vectors=vectors,
    )


def timings_to_messages(timings: Timings) -> list[search_pb2.StageTiming]:
    """What each stage took, in order."""
    return [search_pb2.StageTiming(stage=stage, milliseconds=took) for stage, took in timings]


def timings_from_messages(messages: Iterable[search_pb2.StageTiming]) -> Timings:
    """What each stage took, in order."""
    return tuple((message.stage, message.milliseconds) for message in messages)


def _add_sentences(columns: search_pb2.Sentences, sentences: tuple[Sentence, ...]) -> None:
    columns.starts.extend([sentence.span.start for sentence in sentences])
    columns.ends.extend([sentence.span.end for sentence in sentences])
    columns.term_counts.extend([len(sentence.terms) for sentence in sentences])
    columns.terms.extend([term for sentence in sentences for term in sentence.terms])


def _sentences(
    columns: search_pb2.Sentences, length: int, *, terms: int, field: str
) -> tuple[Sentence, ...]:
    """The sentences of a hit whose text has this length."""
    starts, ends, counts = list(columns.starts), list(columns.ends), list(columns.term_counts)
    held = tuple(columns.terms)
    if not len(starts) == len(ends) == len(counts) or sum(counts) != len(held):
        raise InvalidError.of(field, "must be columns of equal length")
    if held and max(held) >= terms:
        raise InvalidError.of(f"{field}.terms", "must be positions of the search's terms")
    if any(map(gt, starts, ends)) or max(ends, default=0) > length:
        raise InvalidError.of(f"{field}.ends", "must be within the hit's text, behind the start")
    bounds = accumulate(counts, initial=0)
    return tuple(
        Sentence(Span(start, end), held[first:last])
        for start, end, (first, last) in zip(starts, ends, pairwise(bounds), strict=True)
    )
