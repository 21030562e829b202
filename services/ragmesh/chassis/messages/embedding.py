"""Texts and passages to embed, and what was made of them."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from ragmesh.api.embedding.v1 import embedding_service_pb2 as pb
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import refuse_missing
from ragmesh.chassis.messages.spans import span_from_message, span_to_message
from ragmesh.chassis.messages.vectors import (
    fingerprint_from_message,
    fingerprint_to_message,
    sentence_vectors_from_message,
    sentence_vectors_to_message,
    vector_from_message,
    vector_to_message,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.vectors import (
    EncoderDescription,
    Lane,
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    TextEmbeddings,
)

LANES = EnumNumbers(Lane, pb.Lane)


def passage_to_message(passage: Passage) -> pb.Passage:
    """A text with its sentences."""
    return pb.Passage(
        text=passage.text, sentences=[span_to_message(span) for span in passage.sentences]
    )


def passage_from_message(message: pb.Passage, *, field: str = "passage") -> Passage:
    """A text with its sentences; whether they lie within it is the service's to judge."""
    return Passage(
        message.text,
        tuple(
            span_from_message(span, field=f"{field}.sentences[{position}]")
            for position, span in enumerate(message.sentences)
        ),
    )


def text_embeddings_to_message(embeddings: TextEmbeddings) -> pb.EmbedTextsResponse:
    """Vectors of texts."""
    return pb.EmbedTextsResponse(
        fingerprint=fingerprint_to_message(embeddings.fingerprint),
        vectors=[vector_to_message(vector) for vector in embeddings.vectors],
        cut_tokens=embeddings.cut_tokens,
        languages=embeddings.languages,
    )


def text_embeddings_from_message(message: pb.EmbedTextsResponse) -> TextEmbeddings:
    """Vectors of texts, all of the fingerprint's dimension, and a cut for each."""
    refuse_missing(message, "fingerprint")
    fingerprint = fingerprint_from_message(message.fingerprint)
    if len(message.cut_tokens) != len(message.vectors):
        raise InvalidError.of("cut_tokens", "must be as many as there are vectors")
    return TextEmbeddings(
        fingerprint=fingerprint,
        vectors=tuple(
            vector_from_message(
                vector, field=f"vectors[{position}]", dimension=fingerprint.dimension
            )
            for position, vector in enumerate(message.vectors)
        ),
        cut_tokens=tuple(message.cut_tokens),
        languages=tuple(message.languages),
    )


def passage_embeddings_to_message(embeddings: PassageEmbeddings) -> pb.EmbedPassagesResponse:
    """Embedded passages."""
    return pb.EmbedPassagesResponse(
        fingerprint=fingerprint_to_message(embeddings.fingerprint),
        passages=[_passage_embedding_to_message(passage) for passage in embeddings.passages],
    )


def passage_embeddings_from_message(message: pb.EmbedPassagesResponse) -> PassageEmbeddings:
    """Embedded passages, all of the fingerprint's dimension."""
    refuse_missing(message, "fingerprint")
    fingerprint = fingerprint_from_message(message.fingerprint)
    return PassageEmbeddings(
        fingerprint,
        tuple(
            _passage_embedding_from_message(passage, fingerprint.dimension, f"passages[{position}]")
            for position, passage in enumerate(message.passages)
        ),
    )


def encoder_to_message(encoder: EncoderDescription) -> pb.EncoderDescription:
    """An encoder that can be named."""
    return pb.EncoderDescription(
        name=encoder.name,
        fingerprint=fingerprint_to_message(encoder.fingerprint),
        languages=encoder.languages,
        content_tokens=encoder.content_tokens,
        dollars_per_million_tokens=encoder.dollars_per_million_tokens,
    )


def encoder_from_message(
    message: pb.EncoderDescription, *, field: str = "encoder"
) -> EncoderDescription:
    """An encoder that can be named."""
    refuse_missing(message, "fingerprint", field=field)
    return EncoderDescription(
        name=message.name,
        fingerprint=fingerprint_from_message(message.fingerprint, field=f"{field}.fingerprint"),
        languages=tuple(message.languages),
        content_tokens=message.content_tokens,
        dollars_per_million_tokens=message.dollars_per_million_tokens
        if message.HasField("dollars_per_million_tokens")
        else None,
    )


@lru_cache(maxsize=32)
def tokenizer_sha256(tokenizer: bytes) -> str:
    """The name by which a caller says which tokenizer it has; half a megabyte is hashed once."""
    return sha256(tokenizer).hexdigest()


def _passage_embedding_to_message(embedding: PassageEmbedding) -> pb.PassageEmbedding:
    sentences = embedding.sentences
    return pb.PassageEmbedding(
        vector=vector_to_message(embedding.vector),
        sentences=None if sentences is None else sentence_vectors_to_message(sentences),
    )


def _passage_embedding_from_message(
    message: pb.PassageEmbedding, dimension: int, field: str
) -> PassageEmbedding:
    return PassageEmbedding(
        vector_from_message(message.vector, field=f"{field}.vector", dimension=dimension),
        sentence_vectors_from_message(message.sentences, field=f"{field}.sentences")
        if message.HasField("sentences")
        else None,
    )
