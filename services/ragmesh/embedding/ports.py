"""What the embedding service needs: encoders, and a cache of query vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragmesh.core.vectors import EncoderDescription, Lane, Passage, PassageEmbedding, Vector


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text's vector and how many of its last tokens are not in it."""

    vector: Vector
    cut_tokens: int


class Encoder(Protocol):
    """Makes vectors with one model; a text has the same vector alone and in any batch."""

    @property
    def description(self) -> EncoderDescription:
        """The encoder's name, fingerprint and limits."""

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer as tokenizer.json, neither cutting nor padding; empty when it has none."""

    @property
    def query_calls(self) -> int:
        """How many batches of the query lane are best encoded at the same time."""

    @property
    def bulk_calls(self) -> int:
        """How many batches of the bulk lane are best encoded at the same time."""

    @property
    def bulk_batch_tokens(self) -> int | None:
        """Most tokens of one bulk call where it keeps no query waiting, because others do the
        work; None where it does, and the service bounds it and lets queries go first."""

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """How long each text is in tokens, special tokens counted, nothing cut."""

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Encode one batch; a text longer than the window is cut, and the cut counted."""

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Encode one batch of passages that fit the window, in the bulk lane."""


class VectorCache(Protocol):
    """Remembers query vectors; satisfied by CacheService and its client."""

    async def lookup_vectors(
        self, fingerprint: str, texts: Sequence[str]
    ) -> tuple[Vector | None, ...]:
        """The vectors that are known, in the order of the texts."""

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        """Remember the vectors of the texts under the fingerprint's digest."""
