"""What the index holds and how it is written: chunks, attributes, heads and digests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from ragmesh.core.callers import Access
from ragmesh.core.metadata import SortableField
from ragmesh.core.spans import Span
from ragmesh.core.vectors import Fingerprint, SentenceVectors, Vector

_LONGEST_GAP = 16


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index version as the index must know it."""

    index_version_uid: str
    collection_uid: str
    tenant_uid: str
    encoder: str
    """Name of the encoder that embeds the questions."""
    fingerprint: Fingerprint
    language: str
    sortable: tuple[SortableField, ...]
    default_restricted: bool
    """Whether the collection's default access is `restricted` (it decides who fails closed)."""


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A retrievable piece of a revision, before it is embedded."""

    ordinal: int
    text: str
    span: Span
    """Where the chunk stands in the revision's text: `text[start:end]` is the chunk."""
    headings: tuple[str, ...]
    """Path of headings above the chunk, outermost first."""
    page: int | None
    """Page on which the chunk starts, from 1, when the format has pages."""
    token_count: int
    sentences: tuple[Span, ...]
    """Sentences as spans within the chunk's text, in order."""
    gap: str = ""
    """White space between the chunk before and this one, without which they cannot be joined to
    the text that they stand in; empty when they touch or overlap, and where it is long."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk with its vectors, as it is written."""

    draft: ChunkDraft
    vector: Vector
    sentence_vectors: SentenceVectors | None


@dataclass(frozen=True, slots=True)
class Attributes:
    """One attribute generation of a document: what changes without embedding."""

    generation: int
    document_id: str
    title: str
    content_type: str
    metadata: str
    """Canonical JSON."""
    tokens: frozenset[str]
    slots: tuple[tuple[int, float], ...]
    access: Access
    """Resolved: the collection's default is already applied."""


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """All chunks of one revision of one document for one index version."""

    index_version_uid: str
    fingerprint: Fingerprint
    document_uid: str
    revision: int
    attributes: Attributes
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class AttributesWrite:
    """New attributes for chunks that are already there."""

    index_version_uid: str
    document_uid: str
    revision: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Head:
    """The published state of a document in one index version."""

    document_uid: str
    revision: int
    """0 with `deleted`."""
    generation: int
    access: Access
    chunk_count: int
    digest: str
    sequence: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class HeadBatch:
    """Heads that changed, in order of their sequence; without heads it is a heartbeat."""

    index_version_uid: str
    heads: tuple[Head, ...]
    sequence: int
    """The follower has seen everything up to here once it has applied the batch."""
    caught_up: bool
    """Whether nothing more was waiting when the batch was made."""


@dataclass(frozen=True, slots=True)
class DocumentDigest:
    """What the index holds of one revision of one document."""

    document_uid: str
    revision: int
    generation: int
    chunk_count: int
    digest: str


@dataclass(frozen=True, slots=True)
class IndexDescription:
    """An index version as it stands."""

    index_version_uid: str
    fingerprint: Fingerprint
    documents: int
    chunks: int
    heads_sequence: int


def gap_between(text: str, end: int, start: int) -> str:
    """What stands between a chunk that ends and the next one that starts, as it is kept."""
    gap = text[end:start]
    return gap if len(gap) <= _LONGEST_GAP and gap.isspace() else ""


def chunks_digest(chunks: Iterable[tuple[int, Span, str]]) -> str:
    """The digest of a revision's chunks, (ordinal, span, text) each, the same in every store."""
    digest = sha256()
    for ordinal, span, text in sorted(chunks, key=lambda chunk: chunk[0]):
        digest.update(f"{ordinal}\x1f{span.start}\x1f{span.end}\x1f".encode())
        digest.update(sha256(text.encode()).digest())
    return digest.hexdigest()[:32]
