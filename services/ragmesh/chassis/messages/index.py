"""What the index is told to hold, and what it says that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ragmesh.api.retrieval.v1 import index_pb2 as pb
from ragmesh.api.retrieval.v1 import retrieval_service_pb2 as service_pb
from ragmesh.api.types.v1 import text_pb2
from ragmesh.chassis.messages.access import access_from_message, access_to_message
from ragmesh.chassis.messages.collections import sortable_from_message, sortable_to_message
from ragmesh.chassis.messages.parts import finite, refuse_missing
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
from ragmesh.core.index import (
    Attributes,
    AttributesWrite,
    Chunk,
    ChunkDraft,
    DocumentDigest,
    DocumentWrite,
    IndexDescription,
    IndexSpec,
)

_BATCH_BYTES = 1024 * 1024
"""A batch of chunks is sent once it holds this much: translated in milliseconds, and far from
the largest message. One chunk is bounded by the window of its encoder."""


def index_spec_to_message(spec: IndexSpec) -> pb.IndexSpec:
    """An index version as the index must know it."""
    return pb.IndexSpec(
        index_version_uid=spec.index_version_uid,
        collection_uid=spec.collection_uid,
        tenant_uid=spec.tenant_uid,
        encoder=spec.encoder,
        fingerprint=fingerprint_to_message(spec.fingerprint),
        language=spec.language,
        sortable=[sortable_to_message(field) for field in spec.sortable],
        default_restricted=spec.default_restricted,
    )


def index_spec_from_message(message: pb.IndexSpec) -> IndexSpec:
    """An index version as the index must know it."""
    refuse_missing(message, "fingerprint", field="spec")
    return IndexSpec(
        index_version_uid=message.index_version_uid,
        collection_uid=message.collection_uid,
        tenant_uid=message.tenant_uid,
        encoder=message.encoder,
        fingerprint=fingerprint_from_message(message.fingerprint, field="spec.fingerprint"),
        language=message.language,
        sortable=tuple(sortable_from_message(field) for field in message.sortable),
        default_restricted=message.default_restricted,
    )


def attributes_to_message(attributes: Attributes) -> pb.Attributes:
    """One attribute generation."""
    return pb.Attributes(
        generation=attributes.generation,
        document_id=attributes.document_id,
        title=attributes.title,
        content_type=attributes.content_type,
        metadata_json=attributes.metadata,
        tokens=sorted(attributes.tokens),
        slots=[pb.SlotValue(slot=slot, value=value) for slot, value in attributes.slots],
        access=access_to_message(attributes.access),
    )


def attributes_from_message(message: pb.Attributes) -> Attributes:
    """One attribute generation; without access nobody but administrators may see it."""
    return Attributes(
        generation=message.generation,
        document_id=message.document_id,
        title=message.title,
        content_type=message.content_type,
        metadata=message.metadata_json,
        tokens=frozenset(message.tokens),
        slots=tuple(
            (slot.slot, finite(slot.value, field="attributes.slots")) for slot in message.slots
        ),
        access=access_from_message(message.access, field="attributes.access"),
    )


def chunk_to_message(chunk: Chunk) -> pb.IndexedChunk:
    """A chunk with its vectors."""
    draft, sentences = chunk.draft, chunk.sentence_vectors
    return pb.IndexedChunk(
        chunk=text_pb2.Chunk(
            ordinal=draft.ordinal,
            text=draft.text,
            span=span_to_message(draft.span),
            headings=draft.headings,
            page=draft.page,
            token_count=draft.token_count,
            sentences=[span_to_message(sentence) for sentence in draft.sentences],
            gap=draft.gap,
        ),
        vector=vector_to_message(chunk.vector),
        sentence_vectors=None if sentences is None else sentence_vectors_to_message(sentences),
    )


def chunk_from_message(message: pb.IndexedChunk, *, field: str = "chunk") -> Chunk:
    """A chunk with its vectors."""
    refuse_missing(message, "chunk", "vector", field=field)
    piece = message.chunk
    refuse_missing(piece, "span", field=field)
    sentences = None
    if message.HasField("sentence_vectors"):
        sentences = sentence_vectors_from_message(
            message.sentence_vectors, field=f"{field}.sentence_vectors"
        )
    return Chunk(
        draft=ChunkDraft(
            ordinal=piece.ordinal,
            text=piece.text,
            span=span_from_message(piece.span, field=f"{field}.span"),
            headings=tuple(piece.headings),
            page=piece.page if piece.HasField("page") else None,
            token_count=piece.token_count,
            sentences=tuple(
                span_from_message(sentence, field=f"{field}.sentences")
                for sentence in piece.sentences
            ),
            gap=piece.gap,
        ),
        vector=vector_from_message(message.vector, field=f"{field}.vector"),
        sentence_vectors=sentences,
    )


def document_write_to_messages(write: DocumentWrite) -> Iterator[service_pb.WriteChunksRequest]:
    """A write as its start and its chunks, made as they are sent, in messages of bounded size."""
    yield service_pb.WriteChunksRequest(
        start=service_pb.WriteChunksStart(
            index_version_uid=write.index_version_uid,
            fingerprint=fingerprint_to_message(write.fingerprint),
            document_uid=write.document_uid,
            revision=write.revision,
            attributes=attributes_to_message(write.attributes),
            chunk_count=len(write.chunks),
        )
    )
    for batch in chunks_to_messages(write.chunks):
        yield service_pb.WriteChunksRequest(batch=service_pb.ChunkBatch(chunks=batch))


def document_write_from_parts(
    start: service_pb.WriteChunksStart, chunks: Sequence[Chunk]
) -> DocumentWrite:
    """A write whose chunks have all come; InvalidError when some have not."""
    refuse_missing(start, "fingerprint", "attributes", field="start")
    if len(chunks) != start.chunk_count:
        raise InvalidError.of("batch.chunks", f"must be {start.chunk_count} in all")
    return DocumentWrite(
        index_version_uid=start.index_version_uid,
        fingerprint=fingerprint_from_message(start.fingerprint, field="start.fingerprint"),
        document_uid=start.document_uid,
        revision=start.revision,
        attributes=attributes_from_message(start.attributes),
        chunks=tuple(chunks),
    )


def attributes_write_to_message(write: AttributesWrite) -> service_pb.UpdateAttributesRequest:
    """New attributes of chunks that are there."""
    return service_pb.UpdateAttributesRequest(
        index_version_uid=write.index_version_uid,
        document_uid=write.document_uid,
        revision=write.revision,
        attributes=attributes_to_message(write.attributes),
    )


def attributes_write_from_message(message: service_pb.UpdateAttributesRequest) -> AttributesWrite:
    """New attributes of chunks that are there."""
    refuse_missing(message, "attributes")
    return AttributesWrite(
        index_version_uid=message.index_version_uid,
        document_uid=message.document_uid,
        revision=message.revision,
        attributes=attributes_from_message(message.attributes),
    )


def digest_to_message(digest: DocumentDigest) -> pb.DocumentDigest:
    """What the index holds of a revision."""
    return pb.DocumentDigest(
        document_uid=digest.document_uid,
        revision=digest.revision,
        generation=digest.generation,
        chunk_count=digest.chunk_count,
        digest=digest.digest,
    )


def digest_from_message(message: pb.DocumentDigest) -> DocumentDigest:
    """What the index holds of a revision."""
    return DocumentDigest(
        document_uid=message.document_uid,
        revision=message.revision,
        generation=message.generation,
        chunk_count=message.chunk_count,
        digest=message.digest,
    )


def description_to_message(description: IndexDescription) -> pb.IndexDescription:
    """An index version as it stands."""
    return pb.IndexDescription(
        index_version_uid=description.index_version_uid,
        fingerprint=fingerprint_to_message(description.fingerprint),
        documents=description.documents,
        chunks=description.chunks,
        heads_sequence=description.heads_sequence,
    )


def description_from_message(message: pb.IndexDescription) -> IndexDescription:
    """An index version as it stands."""
    refuse_missing(message, "fingerprint", field="description")
    return IndexDescription(
        index_version_uid=message.index_version_uid,
        fingerprint=fingerprint_from_message(message.fingerprint, field="description.fingerprint"),
        documents=message.documents,
        chunks=message.chunks,
        heads_sequence=message.heads_sequence,
    )


def chunks_to_messages(chunks: Iterable[Chunk]) -> Iterator[list[pb.IndexedChunk]]:
    """Chunks in batches of bounded size."""
    batch: list[pb.IndexedChunk] = []
    size = 0
    for chunk in chunks:
        message = chunk_to_message(chunk)
        length = message.ByteSize()
        if batch and size + length > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
