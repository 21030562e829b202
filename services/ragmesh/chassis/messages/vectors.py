"""Vectors and what makes them comparable."""

from __future__ import annotations

from ragmesh.api.types.v1 import vector_pb2
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.core.errors import InvalidError, InvalidVectorError, Violation
from ragmesh.core.vectors import Fingerprint, SentenceKind, SentenceVectors, Vector

_SENTENCE_KINDS = EnumNumbers(SentenceKind, vector_pb2.SentenceKind)


def vector_to_message(vector: Vector) -> vector_pb2.Vector:
    """A vector."""
    return vector_pb2.Vector(values=vector.values)


def vector_from_message(
    message: vector_pb2.Vector, *, field: str = "vector", dimension: int | None = None
) -> Vector:
    """A vector of whole and finite numbers, as many as the dimension says if it is given."""
    values = message.values
    if not values or len(values) % 4:
        raise _refusal(field, "must be a whole, positive number of float32 values")
    vector = Vector(values)
    if dimension is not None and vector.dimension != dimension:
        raise _refusal(field, f"must have {dimension} numbers, not {vector.dimension}")
    if not vector.is_finite:
        raise _refusal(field, "must hold neither NaN nor infinity")
    return vector


def sentence_vectors_to_message(vectors: SentenceVectors) -> vector_pb2.SentenceVectors:
    """The vectors of a passage's sentences."""
    return vector_pb2.SentenceVectors(dimension=vectors.dimension, values=vectors.values)


def sentence_vectors_from_message(
    message: vector_pb2.SentenceVectors, *, field: str = "sentence_vectors"
) -> SentenceVectors:
    """The vectors of a passage's sentences, in whole rows of one dimension."""
    if not message.dimension or len(message.values) % message.dimension:
        raise _refusal(field, "must be whole rows of one positive dimension")
    return SentenceVectors(message.dimension, message.values)


def fingerprint_to_message(fingerprint: Fingerprint) -> vector_pb2.Fingerprint:
    """A fingerprint."""
    return vector_pb2.Fingerprint(
        model=fingerprint.model,
        weights_sha256=fingerprint.weights_sha256,
        precision=fingerprint.precision,
        dimension=fingerprint.dimension,
        normalised=fingerprint.normalised,
        query_prefix=fingerprint.query_prefix,
        passage_prefix=fingerprint.passage_prefix,
        max_tokens=fingerprint.max_tokens,
        sentences=_SENTENCE_KINDS.number(fingerprint.sentences),
    )


def fingerprint_from_message(
    message: vector_pb2.Fingerprint, *, field: str = "fingerprint"
) -> Fingerprint:
    """A fingerprint of vectors that have numbers."""
    if not message.dimension:
        raise InvalidError.of(f"{field}.dimension", "must be positive")
    return Fingerprint(
        model=message.model,
        weights_sha256=message.weights_sha256,
        precision=message.precision,
        dimension=message.dimension,
        normalised=message.normalised,
        query_prefix=message.query_prefix,
        passage_prefix=message.passage_prefix,
        max_tokens=message.max_tokens,
        sentences=_SENTENCE_KINDS.member(message.sentences, field=f"{field}.sentences"),
    )


def _refusal(field: str, rule: str) -> InvalidVectorError:
    return InvalidVectorError(f"{field} {rule}", violations=[Violation(field, rule)])
