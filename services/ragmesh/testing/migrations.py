"""Several fake encoders behind one port, one of them no good, and golden questions."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from ragmesh.core.errors import EncoderNotFoundError
from ragmesh.core.vectors import (
    EncoderDescription,
    Lane,
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    TextEmbeddings,
    Vector,
)
from ragmesh.embedding.ports import EncodedText
from ragmesh.testing.embedding import (
    DIMENSION,
    FakeEmbedder,
    FakeEncoder,
    hashed_sentences,
)


class GarbledEncoder(FakeEncoder):
    """An encoder whose vectors mean nothing: a text never has the same one twice."""

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Noise."""
        await FakeEncoder.encode_texts(self, texts, lane)
        return tuple(EncodedText(_noise(), 0) for _ in texts)

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Noise."""
        await FakeEncoder.encode_passages(self, passages)
        return tuple(PassageEmbedding(_noise(), hashed_sentences(one)) for one in passages)


def _noise() -> Vector:
    numbers = [random.gauss(0, 1) for _ in range(DIMENSION)]
    length = sum(number * number for number in numbers) ** 0.5
    return Vector.from_floats([number / length for number in numbers])


@dataclass
class FakeEmbedders:
    """The embedding service with several encoders; the first is the default."""

    embedders: dict[str, FakeEmbedder] = field(default_factory=dict)

    @classmethod
    def of(cls, *encoders: FakeEncoder) -> FakeEmbedders:
        """These encoders by their names."""
        return cls({encoder.name: FakeEmbedder(encoder) for encoder in encoders})

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str = "", lane: Lane = Lane.QUERY
    ) -> TextEmbeddings:
        """As the encoder of that name does."""
        return await self._named(encoder).embed_texts(texts, encoder=encoder, lane=lane)

    async def embed_passages(
        self, passages: Sequence[Passage], *, encoder: str = ""
    ) -> PassageEmbeddings:
        """As the encoder of that name does."""
        return await self._named(encoder).embed_passages(passages, encoder=encoder)

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """All of them."""
        return tuple(one.encoder.description for one in self.embedders.values())

    async def get_tokenizer(self, encoder: str = "") -> bytes:
        """The one that all fakes count with."""
        return await self._named(encoder).get_tokenizer(encoder)

    def _named(self, encoder: str) -> FakeEmbedder:
        if not encoder:
            return next(iter(self.embedders.values()))
        if encoder not in self.embedders:
            raise EncoderNotFoundError(f"no encoder is named {encoder!r}")
        return self.embedders[encoder]


def golden_lines(answers: Sequence[tuple[str, str]], *, slice: str = "") -> str:
    """Golden questions of a slice: each with the id of the one document that answers it."""
    named = {"slice": slice} if slice else {}
    lines = [
        json.dumps({"id": f"q{n}", "question": question, "relevant": {document: 1}} | named)
        for n, (question, document) in enumerate(answers)
    ]
    return "\n".join(lines)
