"""An encoder behind an endpoint that speaks OpenAI's embeddings API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import openai

from ragmesh.chassis.executors import Executor, executor
from ragmesh.chassis.provider_breakers import provider_breaker
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidSettingsError
from ragmesh.core.reading import MIN_CHUNK_TOKENS
from ragmesh.core.vectors import (
    EncoderDescription,
    Fingerprint,
    Lane,
    Passage,
    PassageEmbedding,
    SentenceKind,
    SentenceVectors,
)
from ragmesh.embedding.adapters.counting import Counter, counter_of, counts
from ragmesh.embedding.adapters.endpoint import Endpoint, Floats
from ragmesh.embedding.adapters.pooling import int8_rows, vector_of
from ragmesh.embedding.adapters.probing import PROBES, Probe
from ragmesh.embedding.ports import EncodedText
from ragmesh.embedding.settings import EncoderSettings, EndpointSettings

_NO_KEY = "none"
"""The library wants a key; an endpoint that wants none does not read it."""


class OpenAIEncoder:
    """Encodes by calls; made by `open_openai_encoder`."""

    def __init__(
        self,
        description: EncoderDescription,
        endpoint: Endpoint,
        counter: Counter,
        probe: Probe,
        threads: Executor,
    ) -> None:
        self._description = description
        self._endpoint = endpoint
        self._settings = endpoint.settings
        self._counter = counter
        self._probe = probe
        self._threads = threads

    @property
    def description(self) -> EncoderDescription:
        """The encoder's name, fingerprint and limits."""
        return self._description

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer that the settings name; empty without one."""
        return self._counter.tokenizer

    @property
    def query_calls(self) -> int:
        """As many as the provider takes at the same time: one that hangs holds up no other."""
        return self._settings.calls

    @property
    def bulk_calls(self) -> int:
        """As many again, for passages."""
        return self._settings.calls

    @property
    def bulk_batch_tokens(self) -> int:
        """A whole request: the processor that does the work is not ours."""
        return self._settings.batch_texts * self._settings.max_tokens

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """How long each passage is, its prefix and special tokens counted."""
        prefix = self._settings.passage_prefix
        return await self._threads.run(counts, self._counter, [prefix + text for text in texts])

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Encode questions; one that is longer than the window is cut before it is sent."""
        prefix = self._settings.query_prefix
        fitting = await self._threads.run(
            lambda: [self._counter.fit(prefix + text, self._settings.max_tokens) for text in texts]
        )
        rows = await self._embed([fit.text for fit in fitting], lane)
        return tuple(
            EncodedText(vector_of(row), fit.cut_tokens)
            for row, fit in zip(rows, fitting, strict=True)
        )

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Encode passages, and their sentences where the fingerprint says so."""
        prefix = self._settings.passage_prefix
        rows = await self._embed([prefix + passage.text for passage in passages], Lane.BULK)
        sentences: Sequence[SentenceVectors | None] = [None] * len(passages)
        if self._description.fingerprint.sentences is SentenceKind.SEPARATE:
            sentences = await self._embed_sentences(passages)
        return tuple(
            PassageEmbedding(vector_of(row), found)
            for row, found in zip(rows, sentences, strict=True)
        )

    async def _embed_sentences(self, passages: Sequence[Passage]) -> list[SentenceVectors]:
        texts = [span.of(passage.text) for passage in passages for span in passage.sentences]
        # Providers refuse blank texts. A sentence without words has a row of zeros instead.
        worded = [position for position, text in enumerate(texts) if text.strip()]
        prefix = self._settings.passage_prefix
        rows = np.zeros((len(texts), self._settings.dimension), np.float32)
        if worded:
            rows[worded] = await self._embed(
                [prefix + texts[position] for position in worded], Lane.BULK
            )
        ends = np.cumsum([len(passage.sentences) for passage in passages])
        return [int8_rows(part) for part in np.split(rows, ends[:-1])]

    async def _embed(self, texts: Sequence[str], lane: Lane) -> Floats:
        """The rows of all texts; those of the probes go along when they are due."""
        if not texts:
            return np.zeros((0, self._settings.dimension), np.float32)
        probes = PROBES if self._probe.due else ()
        sent = [*probes, *texts]
        size = self._settings.batch_texts
        parts = [
            await self._endpoint.embed(sent[start : start + size], lane)
            for start in range(0, len(sent), size)
        ]
        rows = np.concatenate(parts)
        if probes:
            await asyncio.to_thread(self._probe.compare, rows[: len(probes)])
        return rows[len(probes) :]


@asynccontextmanager
async def open_openai_encoder(
    settings: EncoderSettings, remote: EndpointSettings, *, probes: Path, clock: Clock
) -> AsyncIterator[OpenAIEncoder]:
    """The encoder behind the endpoint, which is first spoken to when there is something to encode:
    a mesh starts without it. Its connections end with the block."""
    key = remote.api_key.get_secret_value() if remote.api_key else _NO_KEY
    client = openai.AsyncOpenAI(base_url=remote.url, api_key=key, max_retries=0)
    # The library reads these from the environment; here, settings are what is configured.
    client.organization = client.project = None
    async with client, executor(f"{settings.name}-count", 1) as threads:
        counter = await threads.run(counter_of, remote.tokenizer)
        description = _describe(settings, remote, counter)
        probe = await threads.run(
            lambda: Probe(
                probes,
                description.fingerprint,
                every_seconds=remote.probe_seconds,
                clock=clock,
            )
        )
        endpoint = Endpoint(settings.name, client, remote, clock, provider_breaker(clock))
        yield OpenAIEncoder(description, endpoint, counter, probe, threads)


def _describe(
    settings: EncoderSettings, remote: EndpointSettings, counter: Counter
) -> EncoderDescription:
    around = max(counter.count(remote.query_prefix), counter.count(remote.passage_prefix))
    if remote.max_tokens - around < MIN_CHUNK_TOKENS:
        raise InvalidSettingsError(
            f"the window of {settings.name} leaves no room for texts beside its prefixes"
        )
    return EncoderDescription(
        name=settings.name,
        fingerprint=Fingerprint(
            model=f"{remote.model}@{remote.revision}" if remote.revision else remote.model,
            weights_sha256="",
            precision="remote",
            dimension=remote.dimension,
            normalised=True,
            query_prefix=remote.query_prefix,
            passage_prefix=remote.passage_prefix,
            max_tokens=remote.max_tokens,
            sentences=SentenceKind(remote.sentences),
        ),
        languages=settings.languages,
        content_tokens=remote.max_tokens - around,
        dollars_per_million_tokens=remote.dollars_per_million_tokens,
    )
