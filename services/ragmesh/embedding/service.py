"""Texts and passages in, comparable vectors out; what is refused is refused before any work."""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    BatchTooLargeError,
    ControlCharactersError,
    EmptyTextError,
    EncoderNotFoundError,
    InvalidError,
    TextTooLongError,
    Violation,
)
from ragmesh.core.vectors import (
    EncoderDescription,
    Lane,
    Passage,
    PassageEmbedding,
    PassageEmbeddings,
    TextEmbeddings,
)
from ragmesh.embedding.lanes import Lanes, lanes_by_name
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.ports import EncodedText, Encoder, VectorCache
from ragmesh.embedding.remembering import VectorMemory


class EmbeddingService:
    """Embeds with the encoders it was given; the first of them is the default."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        *,
        cache: VectorCache,
        clock: Clock,
        limits: EmbeddingLimits | None = None,
    ) -> None:
        if not encoders:
            raise ValueError("an embedding service needs an encoder")
        self._limits = limits or EmbeddingLimits()
        self._memory = VectorMemory(cache)
        if len({encoder.description.name for encoder in encoders}) < len(encoders):
            raise ValueError("two encoders have the same name")
        self._lanes = lanes_by_name(encoders, self._limits, clock)

    async def embed_texts(
        self, texts: Sequence[str], *, encoder: str = "", lane: Lane = Lane.QUERY
    ) -> TextEmbeddings:
        """One vector a text; a text longer than the window is cut, and the cut reported."""
        lanes = self._lanes_of(encoder)
        self._refuse(texts, "texts", lane)
        if lane is Lane.QUERY:
            encoded = await self._embed_queries(lanes, texts)
        else:
            encoded = await lanes.bulk.encode(
                texts,
                lambda batch: lanes.encoder.encode_texts([texts[i] for i in batch], Lane.BULK),
                check=lambda _lengths: None,
            )
        return TextEmbeddings(
            fingerprint=lanes.encoder.description.fingerprint,
            vectors=tuple(text.vector for text in encoded),
            cut_tokens=tuple(text.cut_tokens for text in encoded),
            languages=lanes.encoder.description.languages,
        )

    async def count_tokens(self, texts: Sequence[str], *, encoder: str = "") -> tuple[int, ...]:
        """How long each text is in the encoder's tokens, special tokens counted, nothing cut."""
        lanes = self._lanes_of(encoder)
        self._refuse(texts, "texts", Lane.BULK)
        return await lanes.encoder.count_tokens(texts)

    async def embed_passages(
        self, passages: Sequence[Passage], *, encoder: str = ""
    ) -> PassageEmbeddings:
        """A vector a passage and one a sentence; a passage longer than the window is refused."""
        lanes = self._lanes_of(encoder)
        texts = [passage.text for passage in passages]
        self._refuse(texts, "passages", Lane.BULK)
        refuse_spans(passages)
        fingerprint = lanes.encoder.description.fingerprint

        async def encode_batch(batch: list[int]) -> tuple[PassageEmbedding, ...]:
            return await lanes.encoder.encode_passages([passages[i] for i in batch])

        embedded = await lanes.bulk.encode(
            texts,
            encode_batch,
            check=lambda lengths: refuse_too_long(lengths, fingerprint.max_tokens),
        )
        return PassageEmbeddings(fingerprint, embedded)

    async def remember(self) -> None:
        """Store the vectors of questions behind their answers, until cancelled."""
        await self._memory.run()

    async def list_encoders(self) -> tuple[EncoderDescription, ...]:
        """Every encoder that can be named; the first is the default."""
        return tuple(lanes.encoder.description for lanes in self._lanes.values())

    async def get_tokenizer(self, encoder: str = "") -> bytes:
        """The tokenizer.json that sizes chunks for the encoder; empty when it has none."""
        return self._lanes_of(encoder).encoder.tokenizer

    async def _embed_queries(self, lanes: Lanes, texts: Sequence[str]) -> tuple[EncodedText, ...]:
        digest = lanes.encoder.description.fingerprint.digest
        known = await self._memory.lookup(digest, texts)
        missing = [text for text, vector in zip(texts, known, strict=True) if vector is None]
        fresh = await lanes.query.encode(missing) if missing else ()
        # A text that was cut is not remembered: the cache could not say how much of it.
        whole = [
            (text, encoded.vector)
            for text, encoded in zip(missing, fresh, strict=True)
            if not encoded.cut_tokens
        ]
        self._memory.keep(digest, whole)
        remaining = iter(fresh)
        return tuple(
            next(remaining) if vector is None else EncodedText(vector, 0) for vector in known
        )

    def _lanes_of(self, name: str) -> Lanes:
        if not name:
            return next(iter(self._lanes.values()))
        try:
            return self._lanes[name]
        except KeyError:
            raise EncoderNotFoundError(
                f"no encoder is named {name!r}: there are {', '.join(self._lanes)}",
                metadata={"encoder": name},
            ) from None

    def _refuse(self, texts: Sequence[str], field: str, lane: Lane) -> None:
        limits = self._limits
        most = limits.query_texts if lane is Lane.QUERY else limits.bulk_texts
        if len(texts) > most:
            message = f"must be at most {most} in the {lane.value} lane"
            raise BatchTooLargeError(
                f"{field} {message}",
                violations=[Violation(field, message)],
                metadata={"limit": str(most), "lane": lane.value},
            )
        for position, text in enumerate(texts):
            refuse_text(text, f"{field}[{position}]", position, limits.text_characters)
        if sum(map(len, texts)) > limits.request_characters:
            message = f"must have at most {limits.request_characters} characters together"
            raise BatchTooLargeError(
                f"{field} {message}",
                violations=[Violation(field, message)],
                metadata={"limit": str(limits.request_characters)},
            )


def refuse_text(text: str, field: str, position: int, most_characters: int) -> None:
    """Raise for a text that no encoder is asked about: blank, too long or not Unicode."""
    metadata = {"position": str(position)}
    if not text.strip():
        raise EmptyTextError(
            f"{field} must not be blank",
            violations=[Violation(field, "must not be blank")],
            metadata=metadata,
        )
    if len(text) > most_characters:
        message = f"must have at most {most_characters} characters"
        raise TextTooLongError(
            f"{field} {message}",
            violations=[Violation(field, message)],
            metadata={**metadata, "limit": str(most_characters)},
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "must not hold lone surrogates"
        raise ControlCharactersError(
            f"{field} {message}", violations=[Violation(field, message)], metadata=metadata
        ) from None


def refuse_spans(passages: Sequence[Passage]) -> None:
    """Raise InvalidError for a sentence that ends behind its passage."""
    for position, passage in enumerate(passages):
        for number, span in enumerate(passage.sentences):
            if span.end > len(passage.text):
                raise InvalidError.of(
                    f"passages[{position}].sentences[{number}]", "must lie within the text"
                )


def refuse_too_long(lengths: Sequence[int], most_tokens: int) -> None:
    """Raise TextTooLongError for the first passage that would have to be cut."""
    for position, length in enumerate(lengths):
        if length > most_tokens:
            field, message = f"passages[{position}]", f"must have at most {most_tokens} tokens"
            raise TextTooLongError(
                f"{field} {message}, not {length}",
                violations=[Violation(field, message)],
                metadata={"position": str(position), "limit": str(most_tokens)},
            )
