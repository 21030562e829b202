"""An encoder with local weights on ONNX Runtime: exact (fp32), or fast (int8, one text a call).

Queries and bulk work have a session and a thread each. The bulk thread and the threads that its
session starts run at a lower priority, so that the system prefers a query to a bulk call that
cannot be interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from ragmesh.chassis.executors import Executor, executor, usable_cores
from ragmesh.core.errors import ModelCorruptError
from ragmesh.core.vectors import (
    EncoderDescription,
    Fingerprint,
    Lane,
    Passage,
    PassageEmbedding,
    SentenceKind,
    Vector,
)
from ragmesh.embedding.adapters.manifest import (
    EXACT,
    IDS,
    MASK,
    MODEL_FILE,
    REMEDY,
    SENTENCE_VECTORS,
    TOKEN_VECTORS,
    TOKENIZER_FILE,
    Manifest,
    read_checked_manifest,
)
from ragmesh.embedding.adapters.pooling import pool_sentences, vector_of
from ragmesh.embedding.batching import batches
from ragmesh.embedding.ports import EncodedText

BULK_NICENESS = 10
_QUERY_BATCH_TOKENS = 256
"""Enough for full speed; with more, questions of unlike lengths share a call and its padding."""
_ERRORS_ONLY = 3
_SLOW_FUSION = "SkipLayerNormFusion"
"""What it fuses in a fast graph takes four times as long as its parts: a fifth of a whole call."""

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _LaneOfWork:
    threads: Executor
    session: Any
    """An onnxruntime.InferenceSession, which carries no types."""


class OnnxEncoder:
    """Encodes with one ONNX graph; made by `open_onnx_encoder`."""

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        tokenizer: bytes,
        lanes: dict[Lane, _LaneOfWork],
    ) -> None:
        self._tokenizer_json = tokenizer
        self._tokenizer = Tokenizer.from_buffer(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._lanes = lanes
        self._window = manifest.max_tokens
        self._alone = manifest.precision != EXACT
        self._description = _describe(name, manifest)

    @property
    def description(self) -> EncoderDescription:
        """The encoder's name, fingerprint and limits."""
        return self._description

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer as tokenizer.json, neither cutting nor padding."""
        return self._tokenizer_json

    @property
    def query_calls(self) -> int:
        """One, on all threads: two would only take them from each other."""
        return 1

    @property
    def bulk_calls(self) -> int:
        """One a thread: each call has one, because a barrier between threads of low priority
        would have all of them wait for the one that another process keeps off its core."""
        return self._lanes[Lane.BULK].threads.threads

    @property
    def bulk_batch_tokens(self) -> None:
        """The service's own bound: queries wait for the same processor."""
        return None

    async def count_tokens(self, texts: Sequence[str]) -> tuple[int, ...]:
        """How long each text is in tokens, special tokens counted, nothing cut."""
        return await self._lanes[Lane.BULK].threads.run(self._count, texts)

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        """Encode the texts in the lane's own session, like lengths together."""
        work = self._lanes[lane]
        # Bulk batches come planned; what waits together in the query lane has any length.
        budget = _QUERY_BATCH_TOKENS if lane is Lane.QUERY else len(texts) * self._window
        if self._alone:
            budget = 0
        return await work.threads.run(self._encode_texts, work.session, texts, budget)

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        """Encode one batch in the bulk session; sentences are pooled from the same pass."""
        work = self._lanes[Lane.BULK]
        return await work.threads.run(self._encode_passages, work.session, passages)

    def _count(self, texts: Sequence[str]) -> tuple[int, ...]:
        return tuple(len(encoding.ids) for encoding in self._tokenize(texts))

    def _tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        # One by one: encode_batch would start a pool of its own, at normal priority.
        return [self._tokenizer.encode(text) for text in texts]

    def _encode_texts(
        self, session: Any, texts: Sequence[str], budget: int
    ) -> tuple[EncodedText, ...]:
        tokens = [encoding.ids for encoding in self._tokenize(texts)]
        fitting = [self._cut(ids) for ids in tokens]
        vectors: list[Vector | None] = [None] * len(texts)
        for batch in batches([len(ids) for ids in fitting], budget):
            (found,) = session.run([SENTENCE_VECTORS], _inputs([fitting[i] for i in batch]))
            for position, row in zip(batch, found, strict=True):
                vectors[position] = vector_of(row)
        return tuple(
            EncodedText(vector, len(ids) - len(kept))
            for vector, ids, kept in zip(vectors, tokens, fitting, strict=True)
            if vector is not None
        )

    def _cut(self, ids: list[int]) -> list[int]:
        # The tokenizer's last special token stays: the model has never seen a text without it.
        return ids if len(ids) <= self._window else [*ids[: self._window - 1], ids[-1]]

    def _encode_passages(
        self, session: Any, passages: Sequence[Passage]
    ) -> tuple[PassageEmbedding, ...]:
        encodings = self._tokenize([passage.text for passage in passages])
        if any(len(encoding.ids) > self._window for encoding in encodings):
            raise ValueError("a passage that does not fit the window is refused by the service")
        size = 1 if self._alone else len(passages)
        return tuple(
            embedding
            for start in range(0, len(passages), size)
            for embedding in _embed_together(
                session, passages[start : start + size], encodings[start : start + size]
            )
        )


@asynccontextmanager
async def open_onnx_encoder(
    name: str, folder: Path, *, precision: str = EXACT, threads: int | None = None
) -> AsyncIterator[OnnxEncoder]:
    """The encoder whose files are in the folder, checked, loaded and warm; its threads end with
    the block. MODEL_MISSING and MODEL_CORRUPT say what is wrong with the files."""
    threads = threads or usable_cores()
    async with (
        executor(f"{name}-query", 1) as query,
        executor(f"{name}-bulk", threads, niceness=BULK_NICENESS) as bulk,
    ):
        manifest = await query.run(read_checked_manifest, folder)
        if manifest.precision != precision:
            raise ModelCorruptError(
                f"{folder} holds a model in {manifest.precision}, not in {precision}",
                metadata={"path": str(folder)},
            )
        tokenizer = await query.run((folder / TOKENIZER_FILE).read_bytes)
        path = folder / MODEL_FILE
        sessions = await asyncio.gather(
            query.run(_open_session, path, threads), bulk.run(_open_session, path, 1)
        )
        lanes = {
            Lane.QUERY: _LaneOfWork(query, sessions[0]),
            Lane.BULK: _LaneOfWork(bulk, sessions[1]),
        }
        yield OnnxEncoder(name, manifest, tokenizer, lanes)


def _describe(name: str, manifest: Manifest) -> EncoderDescription:
    return EncoderDescription(
        name=name,
        fingerprint=Fingerprint(
            model=manifest.model,
            weights_sha256=manifest.weights_sha256,
            precision=manifest.precision,
            dimension=manifest.dimension,
            normalised=True,
            query_prefix="",
            passage_prefix="",
            max_tokens=manifest.max_tokens,
            sentences=SentenceKind.POOLED,
        ),
        languages=manifest.languages,
        content_tokens=manifest.max_tokens - manifest.special_tokens,
    )


def _open_session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # A spinning thread of one session would take the core that the other one needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=[_SLOW_FUSION],
        )
        session.run([TOKEN_VECTORS, SENTENCE_VECTORS], _inputs([[0, 0]]))
    except Exception as error:  # onnxruntime's own errors share no class
        raise ModelCorruptError(
            f"{path} cannot be run: {REMEDY} anew", metadata={"path": str(path)}
        ) from error
    return session


def _inputs(tokens: Sequence[Sequence[int]]) -> dict[str, Integers]:
    width = max(map(len, tokens))
    ids = np.zeros((len(tokens), width), np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(tokens):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {IDS: ids, MASK: mask}


def _embed_together(
    session: Any, passages: Sequence[Passage], encodings: Sequence[Encoding]
) -> Iterator[PassageEmbedding]:
    tokens, vectors = session.run(
        [TOKEN_VECTORS, SENTENCE_VECTORS], _inputs([encoding.ids for encoding in encodings])
    )
    return map(_embed_passage, passages, encodings, tokens, vectors)


def _embed_passage(
    passage: Passage, encoding: Encoding, rows: Floats, vector: Floats
) -> PassageEmbedding:
    # Offsets count code points of the text as it was given, whatever the normaliser does to it.
    content = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
    starts = np.array(encoding.offsets, np.int64)[content, 0]
    return PassageEmbedding(
        vector=vector_of(vector), sentences=pool_sentences(rows[content], starts, passage.sentences)
    )
