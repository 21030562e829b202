"""The stages of indexing one revision: read, embed, write; each can be repeated at any point."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Stage
from ragmesh.core.errors import (
    EncoderNotFoundError,
    FingerprintMismatchError,
    InternalError,
    NoTextError,
    StoreDamagedError,
    SupersededError,
    UnsupportedFormatError,
)
from ragmesh.core.index import Chunk, ChunkDraft, DocumentDigest, DocumentWrite, chunks_digest
from ragmesh.core.reading import ChunkPlan, Extraction, SourceFile
from ragmesh.core.spans import Span
from ragmesh.core.vectors import EncoderDescription, Passage, PassageEmbedding
from ragmesh.indexing.digests import digest_of
from ragmesh.indexing.ports import BlobStore, ChunkIndex, Embedder, Reader, WorkLedger
from ragmesh.indexing.records import Extracted, Source, Work

INDEXER = Machine("indexer")
_log = logging.getLogger(__name__)
_Likeness: TypeAlias = "tuple[str, tuple[Span, ...]]"
"""What decides the vectors of a passage: its text, and where its sentences stand."""

_WIDEST_TOKENS = 512
"""Of a chunk whose size nobody chose: some encoders take a book, whose vector means nothing."""

_PARSE_PERCENT = 5
_EMBED_PERCENT = 25
_WRITE_PERCENT = 85
PUBLISH_PERCENT = 95


@dataclass(frozen=True, slots=True)
class StageLimits:
    """Which documents are taken, and how much of one is embedded at once."""

    batch_tokens: int = 8_192
    batch_passages: int = 128
    refused_types: frozenset[str] = frozenset()
    """Media types, as they are found in the bytes, that are not taken."""


@dataclass(slots=True)
class Progress:
    """How far one piece of work is, and what its stages took."""

    ledger: WorkLedger
    clock: Clock
    work: Work
    timings: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """What was counted, by name."""

    @property
    def timings_ms(self) -> tuple[tuple[str, float], ...]:
        """(stage, milliseconds) of every finished stage."""
        return tuple(self.timings.items())

    async def show(self, stage: Stage, percent: int) -> None:
        """Report the stage; JobCancelledError when nobody wants the rest."""
        await self.ledger.report_stage(self.work, stage, percent, self.timings_ms)

    @asynccontextmanager
    async def stage(self, stage: Stage, percent: int) -> AsyncIterator[None]:
        """The stage begins here and ends with the block."""
        await self.show(stage, percent)
        start = self.clock.monotonic()
        yield
        self.timings[stage.value] = 1_000 * (self.clock.monotonic() - start)


@dataclass(frozen=True, slots=True)
class Stages:
    """Turns the stored bytes of a revision into chunks that the index holds."""

    ledger: WorkLedger
    blobs: BlobStore
    reader: Reader
    embedder: Embedder
    index: ChunkIndex
    clock: Clock
    limits: StageLimits = StageLimits()

    async def write(self, work: Work, progress: Progress) -> tuple[Work, DocumentDigest]:
        """The work with what reading added to it, and what the index now holds of it."""
        source = _source_of(work)
        plan = await self._plan(work)
        drafts: Sequence[ChunkDraft] | None = None
        if source.text_blob is not None:
            async with progress.stage(Stage.CHUNK, _PARSE_PERCENT):
                drafts = await self._split(source, source.text_blob, plan)
        if drafts is None:
            async with progress.stage(Stage.PARSE, _PARSE_PERCENT):
                work, drafts = await self._read(work, source, plan)
        if not drafts:
            raise NoTextError("the file holds no text")
        async with progress.stage(Stage.EMBED, _EMBED_PERCENT):
            chunks = await self._embed(work, drafts, progress)
        async with progress.stage(Stage.WRITE, _WRITE_PERCENT):
            return work, await self._write(work, chunks)

    async def _plan(self, work: Work) -> ChunkPlan:
        name = work.index.encoder
        encoder = _described(await self.embedder.list_encoders(), name)
        if encoder.fingerprint != work.index.fingerprint:
            raise FingerprintMismatchError(
                "the encoder is not the one that the collection was made with",
                metadata={
                    "expected": work.index.fingerprint.digest,
                    "offered": encoder.fingerprint.digest,
                },
            )
        chunking = work.index.chunking
        return ChunkPlan(
            tokenizer=await self.embedder.get_tokenizer(name),
            max_tokens=chunking.max_tokens or min(encoder.content_tokens, _WIDEST_TOKENS),
            overlap_tokens=chunking.overlap_tokens,
            language=work.index.language,
        )

    async def _read(
        self, work: Work, source: Source, plan: ChunkPlan
    ) -> tuple[Work, Sequence[ChunkDraft]]:
        """The chunks of the file; its text is stored, so that no other chunking reads it again.

        The work comes back with the title and type that reading found.
        """
        content = await self.blobs.read_blob(source.blob)
        if await digest_of(content) != source.content_sha256:
            raise StoreDamagedError("a stored file is not what was uploaded; upload it again")
        found = await self.reader.read(
            SourceFile(content, source.filename, source.content_type), plan
        )
        read = found.extraction
        if read.content_type.partition(";")[0] in self.limits.refused_types:
            raise UnsupportedFormatError(
                f"this mesh takes no {read.content_type}", metadata={"type": read.content_type}
            )
        stored = read.to_json()
        (text_blob,) = await self.blobs.write_blobs([stored])
        extracted = Extracted(
            text_blob, await digest_of(stored), read.title, read.content_type, read.properties
        )
        return await self.ledger.record_extraction(work, extracted), found.chunks

    async def _split(
        self, source: Source, text_blob: str, plan: ChunkPlan
    ) -> Sequence[ChunkDraft] | None:
        """The chunks of the stored text; None when it is damaged: the file has it still."""
        try:
            stored = await self.blobs.read_blob(text_blob)
            extraction = Extraction.from_json(stored)
        except (StoreDamagedError, ValueError):
            _log.warning("a stored text is damaged and is extracted again")
            return None
        if source.text_sha256 and await digest_of(stored) != source.text_sha256:
            _log.warning("a stored text is damaged and is extracted again")
            return None
        return await self.reader.split(extraction, plan)

    async def _embed(
        self, work: Work, drafts: Sequence[ChunkDraft], progress: Progress
    ) -> tuple[Chunk, ...]:
        """The chunks with their vectors; of what is published unchanged, those that it has."""
        vectors = await self._held_vectors(work)
        missing = [draft for draft in drafts if _likeness(draft) not in vectors]
        done = len(drafts) - len(missing)
        for batch in _batches(missing, self.limits):
            embedded = await self.embedder.embed_passages(
                [Passage(draft.text, draft.sentences) for draft in batch],
                encoder=work.index.encoder,
            )
            if embedded.fingerprint != work.index.fingerprint:
                raise FingerprintMismatchError("the encoder changed while it was embedding")
            for draft, passage in zip(batch, embedded.passages, strict=True):
                vectors[_likeness(draft)] = passage
            done += len(batch)
            share = done / len(drafts)
            percent = _EMBED_PERCENT + int(share * (_WRITE_PERCENT - _EMBED_PERCENT))
            await progress.show(Stage.EMBED, percent)
            if done < len(drafts):
                await self._refuse_superseded(work)
        progress.counts.update(chunks=len(drafts), embedded=len(missing))
        found = [vectors[_likeness(draft)] for draft in drafts]
        return tuple(
            Chunk(draft, passage.vector, passage.sentences)
            for draft, passage in zip(drafts, found, strict=True)
        )

    async def _held_vectors(self, work: Work) -> dict[_Likeness, PassageEmbedding]:
        """Vectors of the published revision by what they were made of.

        All vectors of an index version are of one encoder, so equal passages have equal ones.
        """
        if work.head is None or work.head.deleted:
            return {}
        held = await self.index.read_chunks(
            INDEXER, work.index.uid, work.document_uid, revision=work.head.revision
        )
        return {
            _likeness(chunk.draft): PassageEmbedding(chunk.vector, chunk.sentence_vectors)
            for chunk in held
        }

    async def _refuse_superseded(self, work: Work) -> None:
        """Raise SupersededError when the rest of the work would be for nothing."""
        read = await self.ledger.work_of(work.index.uid, work.document_uid)
        if read is None or read.revision != work.revision:
            raise SupersededError("a newer revision of the document is wanted")

    async def _write(self, work: Work, chunks: tuple[Chunk, ...]) -> DocumentDigest:
        digest = await self.index.write_chunks(
            INDEXER,
            DocumentWrite(
                index_version_uid=work.index.uid,
                fingerprint=work.index.fingerprint,
                document_uid=work.document_uid,
                revision=work.revision,
                attributes=work.attributes,
                chunks=chunks,
            ),
        )
        drafts = [chunk.draft for chunk in chunks]
        sent = chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts)
        if (digest.digest, digest.chunk_count) != (sent, len(chunks)):
            raise InternalError("the index does not hold what it was given")
        return digest


def _likeness(draft: ChunkDraft) -> _Likeness:
    return draft.text, draft.sentences


def _source_of(work: Work) -> Source:
    if work.source is None:
        raise InternalError("a revision that is not deleted has no source")
    return work.source


def _described(encoders: Sequence[EncoderDescription], name: str) -> EncoderDescription:
    for encoder in encoders:
        if encoder.name == name:
            return encoder
    raise EncoderNotFoundError(
        "the encoder that the collection was made with is not configured any more",
        metadata={"encoder": name},
    )


def _batches(drafts: Sequence[ChunkDraft], limits: StageLimits) -> Iterator[Sequence[ChunkDraft]]:
    """The drafts in order, in parts that an embedder takes without keeping others waiting."""
    batch: list[ChunkDraft] = []
    tokens = 0
    for draft in drafts:
        is_full = len(batch) == limits.batch_passages
        if batch and (is_full or tokens + draft.token_count > limits.batch_tokens):
            yield batch
            batch, tokens = [], 0
        batch.append(draft)
        tokens += draft.token_count
    if batch:
        yield batch
