"""Fakes of the embedding service: words hashed into vectors, so that shared words mean likeness."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from ragmesh.core.errors import EncoderNotFoundError, RagmeshError
from ragmesh.core.vectors import (
    EncoderDescription,
    Fingerprint,
    Lane,
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    SentenceKind,
    SentenceVectors,
    TextEmbeddings,
    Vector,
)
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.ports import EncodedText, Encoder
from ragmesh.embedding.service import refuse_spans, refuse_text, refuse_too_long

DIMENSION = 256
_POSITIONS_PER_WORD = 4
_SPECIAL_TOKENS = 2
_LIMITS = EmbeddingLimits()
_TOKEN = re.compile(r"\w+|[^\w\s]+")


def hashed_floats(text: str) -> list[float]:
    """A unit vector of the text's words: equal words in any order and case, equal vectors."""
    floats = [0.0] * DIMENSION
    for word in re.findall(r"\w+", text.casefold()):
        digest = blake2b(word.encode(), digest_size=2 * _POSITIONS_PER_WORD).digest()
        for position, sign in zip(digest[::2], digest[1::2], strict=True):
            floats[position] += 1.0 if sign % 2 else -1.0
    length = math.sqrt(sum(number * number for number in floats))
    return [number / length for number in floats] if length else floats


def hashed_vector(text: str) -> Vector:
    """The fake's vector of a text."""
    return Vector.from_floats(hashed_floats(text))


def hashed_sentences(passage: Passage) -> SentenceVectors:
    """One int8 row a sentence, made of the sentence's own words."""
    rows = [
        bytes(round(number * 127) & 0xFF for number in hashed_floats(span.of(passage.text)))
        for span in passage.sentences
    ]
    return SentenceVectors(DIMENSION, b"".join(rows))


def fake_fingerprint(model: str = "fake", *, max_tokens: int = 256) -> Fingerprint:
    """The fingerprint of a fake encoder; another model name is another fingerprint."""
    return Fingerprint(
        model=model,
        weights_sha256="",
        precision="fp32",
        dimension=DIMENSION,
        normalised=True,
        query_prefix="",
        passage_prefix="",
        max_tokens=max_tokens,
        sentences=SentenceKind.POOLED,
    )


def fake_tokenizer() -> bytes:
    """A real tokenizer.json that counts as the fake does: runs of word characters, or of others."""
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
        }
    ).encode()


def count_fake_tokens(text: str) -> int:
    """Tokens of a text as the fake counts them, special tokens included."""
    return len(_TOKEN.findall(text)) + _SPECIAL_TOKENS


@dataclass(slots=True)
class FakeEncoder:
    """An Encoder without a model; it remembers every batch that it was given."""

    name: str = "fake"
    max_tokens: int = 256
    languages: tuple[str, ...] = ("en",)
    remote_batch_tokens: int | None = None
    """Set, the fake stands for an encoder whose work others do."""
    queries_at_once: int = 1
    price: float | None = None
    """Dollars for a million tokens, if anybody said."""
    failure: RagmeshError | None = None
    """Raised by every call while it is set."""
    text_batches: list[tuple[str, ...]] = field(default_factory=list)
    passage_batches: list[tuple[Passage, ...]] = field(default_factory=list)

    @property
    def description(self) -> EncoderDescription:
        """A description with the fake's fingerprint."""
        return EncoderDescription(
            name=self.name,
            fingerprint=fake_fingerprint(self.name, max_tokens=self.max_tokens),
            languages=self.languages,
            content_tokens=self.max_tokens - _SPECIAL_TOKENS,
            dollars_per_million_tokens=self.price,
        )

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer that counts as the fake does."""
        return fake_tokenizer()

    @property
    def query_calls(self) -> int:
        """One, so that batches come in an order that tests can name; more if the test says so."""
        return self.queries_at_once

    @property
    def bulk_calls(self) -> int:
        """One, so that batches come in an order that tests can name."""
        return 1

    @property
    def bulk_batch_tokens(self) -> int | None:
        """As the test has it."""
        return self.remote_batch_tokens

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Words and runs of punctuation, plus two."""
        return tuple(count_fake_tokens(text) for text in texts)

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Hash the words; the whole text counts, the cut is only reported."""
        self._refuse()
        self.text_batches.append(tuple(texts))
        return tuple(
            EncodedText(hashed_vector(text), max(0, count_fake_tokens(text) - self.max_tokens))
            for text in texts
        )

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Hash the words of each passage and of each sentence."""
        self._refuse()
        self.passage_batches.append(tuple(passages))
        return tuple(
            PassageEmbedding(hashed_vector(passage.text), hashed_sentences(passage))
            for passage in passages
        )

    def _refuse(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass(slots=True)
class FakeEmbedder:
    """The embedding service for its consumers' tests; it counts what it embeds."""

    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    text_calls: int = 0
    passage_calls: int = 0
    texts: list[str] = field(default_factory=list)
    """Every text that was ever embedded, in order."""
    passages: list[Passage] = field(default_factory=list)
    """Every passage that was ever embedded, in order."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of every vector that this fake makes."""
        return self.encoder.description.fingerprint

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str = "", lane: Lane = Lane.QUERY
    ) -> TextEmbeddings:
        """Refuse what the service refuses, else one vector a text."""
        self._refuse(encoder, texts, "texts")
        self.text_calls += 1
        self.texts.extend(texts)
        encoded = await self.encoder.encode_texts(texts, lane)
        return TextEmbeddings(
            fingerprint=self.fingerprint,
            vectors=tuple(text.vector for text in encoded),
            cut_tokens=tuple(text.cut_tokens for text in encoded),
            languages=self.encoder.languages,
        )

    async def count_tokens(self, texts: Sequence[str], *, encoder: str = "") -> tuple[int, ...]:
        """Refuse what the service refuses, else count as the fake encoder does."""
        self._refuse(encoder, texts, "texts")
        return await self.encoder.count_tokens(texts)

    async def embed_passages(
        self, passages: Sequence[Passage], *, encoder: str = ""
    ) -> PassageEmbeddings:
        """Refuse what the service refuses, else embed them all."""
        texts = [passage.text for passage in passages]
        self._refuse(encoder, texts, "passages")
        refuse_spans(passages)
        refuse_too_long(await self.encoder.count_tokens(texts), self.encoder.max_tokens)
        self.passage_calls += 1
        self.passages.extend(passages)
        return PassageEmbeddings(self.fingerprint, await self.encoder.encode_passages(passages))

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """The one fake encoder."""
        return (self.encoder.description,)

    async def get_tokenizer(self, encoder: str = "") -> bytes:
        """The fake's tokenizer.json."""
        self._refuse(encoder, (), "texts")
        return self.encoder.tokenizer

    def _refuse(self, encoder: str, texts: Sequence[str], field: str) -> None:
        if encoder not in ("", self.encoder.name):
            raise EncoderNotFoundError(f"no encoder is named {encoder!r}")
        for position, text in enumerate(texts):
            refuse_text(text, f"{field}[{position}]", position, _LIMITS.text_characters)


@dataclass(slots=True)
class CountingEncoder:
    """Any Encoder, counted: what a test reads to show that nothing more was embedded."""

    encoder: Encoder
    texts: int = 0
    """Texts encoded so far."""
    passages: int = 0
    """Passages encoded so far."""
    calls: int = 0
    """Batches sent to the model so far."""

    @property
    def description(self) -> EncoderDescription:
        """The wrapped encoder's."""
        return self.encoder.description

    @property
    def tokenizer(self) -> bytes:
        """The wrapped encoder's."""
        return self.encoder.tokenizer

    @property
    def query_calls(self) -> int:
        """The wrapped encoder's."""
        return self.encoder.query_calls

    @property
    def bulk_calls(self) -> int:
        """The wrapped encoder's."""
        return self.encoder.bulk_calls

    @property
    def bulk_batch_tokens(self) -> int | None:
        """The wrapped encoder's."""
        return self.encoder.bulk_batch_tokens

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """The wrapped encoder's; counting tokens encodes nothing."""
        return await self.encoder.count_tokens(texts)

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Count, then encode."""
        self.calls += 1
        self.texts += len(texts)
        return await self.encoder.encode_texts(texts, lane)

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Count, then encode."""
        self.calls += 1
        self.passages += len(passages)
        return await self.encoder.encode_passages(passages)


class NullVectorCache:
    """Remembers nothing: every vector is computed."""

    async def lookup_vectors(
        self,
        fingerprint: str,
        texts: Sequence[str],
    ) -> tuple[Vector | None, ...]:
        """Nothing is known of any text."""
        return (None,) * len(texts)

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        """Forget at once."""
