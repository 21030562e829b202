"""Vectors of texts that are no document's, for whoever compares them outside of the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.errors import TextTooLongError, Violation
from ragmesh.core.vectors import Lane, TextEmbeddings, Vector
from ragmesh.gateway.ports import Embedder


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Vectors of texts in their order, and how many tokens went into them."""

    vectors: tuple[Vector, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Embedding:
    """Embeds texts as questions are embedded; nothing is cut."""

    embedder: Embedder

    async def embed_texts(self, texts: Sequence[str], *, encoder: str) -> EmbeddedTexts:
        """One vector a text.

        Somebody waits for a text that comes alone, as for a question; a batch stands back for both.
        """
        lane = Lane.QUERY if len(texts) == 1 else Lane.BULK
        counts = await self.embedder.count_tokens(texts, encoder=encoder)
        embedded = await self.embedder.embed_texts(texts, encoder=encoder, lane=lane)
        _refuse_cuts(embedded)
        return EmbeddedTexts(embedded.vectors, sum(counts))


def _refuse_cuts(embedded: TextEmbeddings) -> None:
    """Raise TextTooLongError for the first text whose end is not in its vector."""
    most_tokens = embedded.fingerprint.max_tokens
    for position, cut in enumerate(embedded.cut_tokens):
        if cut:
            field, message = f"texts[{position}]", f"must have at most {most_tokens} tokens"
            raise TextTooLongError(
                f"{field} {message}, not {most_tokens + cut}",
                violations=[Violation(field, message)],
                metadata={"position": str(position), "limit": str(most_tokens)},
            )
