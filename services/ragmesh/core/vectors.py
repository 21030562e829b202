"""Vectors as they cross ports: immutable little-endian bytes, never lists of floats."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from ragmesh.core.spans import Span


@dataclass(frozen=True, slots=True)
class Vector:
    """A float32 vector as little-endian bytes."""

    values: bytes

    def __post_init__(self) -> None:
        if not self.values or len(self.values) % 4:
            raise ValueError("a vector is a whole, positive number of float32 values")

    @property
    def dimension(self) -> int:
        """How many numbers the vector has."""
        return len(self.values) // 4

    def floats(self) -> tuple[float, ...]:
        """The numbers themselves; for tests and small vectors, adapters use NumPy."""
        return tuple(self._numbers())

    @property
    def is_finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        # One float32 that is not makes the sum so, and finite ones cannot overflow a double.
        return math.isfinite(sum(self._numbers()))

    def _numbers(self) -> array.array[float]:
        numbers = array.array("f", self.values)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    @classmethod
    def from_floats(cls, floats: Iterable[float]) -> Vector:
        """The vector of these numbers."""
        numbers = array.array("f", floats)
        if sys.byteorder == "big":
            numbers.byteswap()
        return cls(numbers.tobytes())


class SentenceKind(Enum):
    """How the vectors of a passage's sentences are made; part of an encoder's fingerprint."""

    POOLED = "pooled"
    """Mean of the sentence's tokens in the passage's own forward pass (local weights)."""
    SEPARATE = "separate"
    """Each sentence encoded by itself (remote encoders, opt-in)."""
    NONE = "none"
    """No sentence vectors: sentences are scored by their words."""


@dataclass(frozen=True, slots=True)
class SentenceVectors:
    """One int8 vector a sentence: `value = int8 / 127`, rows of `dimension` bytes, unit length."""

    dimension: int
    values: bytes

    def __post_init__(self) -> None:
        if self.dimension <= 0 or len(self.values) % self.dimension:
            raise ValueError("sentence vectors are whole rows of one dimension")

    @property
    def count(self) -> int:
        """How many sentences there are."""
        return len(self.values) // self.dimension


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes vectors comparable: equal fingerprints, comparable vectors."""

    model: str
    weights_sha256: str
    precision: str
    dimension: int
    normalised: bool
    query_prefix: str
    passage_prefix: str
    max_tokens: int
    sentences: SentenceKind

    @property
    def digest(self) -> str:
        """A short stable name of the fingerprint."""
        parts = (
            self.model,
            self.weights_sha256,
            self.precision,
            str(self.dimension),
            str(self.normalised),
            self.query_prefix,
            self.passage_prefix,
            str(self.max_tokens),
            self.sentences.value,
        )
        return sha256("\x1f".join(parts).encode()).hexdigest()[:16]


class Lane(Enum):
    """Which queue work waits in: people wait for QUERY, nobody waits for BULK."""

    QUERY = "query"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to embed with the spans of its sentences (code points within the text)."""

    text: str
    sentences: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class PassageEmbedding:
    """A passage's vector and one vector a sentence, or none when the encoder makes none."""

    vector: Vector
    sentences: SentenceVectors | None


@dataclass(frozen=True, slots=True)
class TextEmbeddings:
    """Vectors of texts in their order; `cut_tokens[i]` is how many tokens of text i did not fit."""

    fingerprint: Fingerprint
    vectors: tuple[Vector, ...]
    cut_tokens: tuple[int, ...]
    languages: tuple[str, ...] = ()
    """Those that the encoder was made for; see `made_for`."""


@dataclass(frozen=True, slots=True)
class PassageEmbeddings:
    """Embedded passages in their order."""

    fingerprint: Fingerprint
    passages: tuple[PassageEmbedding, ...]


@dataclass(frozen=True, slots=True)
class EncoderDescription:
    """An encoder that can be named in a collection."""

    name: str
    fingerprint: Fingerprint
    languages: tuple[str, ...]
    """Those that it was made for, as ISO 639-1 codes; empty for one that knows no bounds."""
    content_tokens: int
    """Most tokens of one chunk, special tokens not counted."""
    dollars_per_million_tokens: float | None = None
    """What embedding costs; None = nobody said."""


def made_for(languages: Collection[str], language: str) -> bool:
    """Whether an encoder made for the languages knows this one; one that names none knows all."""
    return not languages or primary(language) in map(primary, languages)


def primary(language: str) -> str:
    """The language of a tag such as `pt-BR`, without its region."""
    return language.casefold().partition("-")[0]
