"""The units of work that change an index version: each is one savepoint of a shared transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ragmesh.core.errors import RevisionNotFoundError, UnavailableError
from ragmesh.core.index import AttributesWrite, DocumentDigest, DocumentWrite, chunks_digest
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.live import Change
from ragmesh.retrieval.adapters.embedded.records import Held, PreparedChunk, attributes_values
from ragmesh.retrieval.adapters.embedded.truth import Truth


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a unit of work did: the change for the snapshot, and the caller's answer."""

    change: Change
    digest: DocumentDigest | None = None
    removed_chunks: int = 0


class Work(Protocol):
    """One change of the truth."""

    def apply(self, truth: Truth, version: int) -> Outcome:
        """Make the change in the transaction under way."""


@dataclass(slots=True)
class Ticket:
    """A unit of work that waits for a commit, and then its outcome."""

    work: Work
    outcome: Outcome | None = None
    error: BaseException | None = None

    @property
    def settled(self) -> bool:
        """Whether a commit has taken it, with whatever outcome."""
        return self.outcome is not None or self.error is not None

    def result(self) -> Outcome:
        """The outcome, or what went wrong."""
        if self.error is not None:
            raise self.error
        if self.outcome is None:
            raise UnavailableError("the write was not taken up", retry_after_seconds=1.0)
        return self.outcome


@dataclass(frozen=True, slots=True)
class WriteDocument:
    """Keeps one revision's chunks, instead of what is held of that revision."""

    write: DocumentWrite
    chunks: tuple[PreparedChunk, ...]

    @classmethod
    def analysed(cls, write: DocumentWrite, analyzer: Analyzer) -> WriteDocument:
        """The write with the words of its chunks."""
        return cls(write, tuple(PreparedChunk.of(chunk, analyzer) for chunk in write.chunks))

    def apply(self, truth: Truth, version: int) -> Outcome:
        """Retire the write that is in force and put this one in its place."""
        write = self.write
        values = attributes_values(write.attributes)
        old = truth.held(write.document_uid, write.revision)
        if old is not None:
            if old.generation > write.attributes.generation:
                values = truth.attributes_values(old.key)  # a worker that slept knows older ones
            truth.retire_write(old.key, version)
            truth.log(version, old.key)
        held, vectors, digest = self._insert(truth, values)
        truth.log(version, held.key)
        return Outcome(
            Change(added=((held, vectors),), retired=(old.key,) if old is not None else ()),
            digest=DocumentDigest(
                held.document_uid, held.revision, held.generation, held.chunk_count, digest
            ),
        )

    def _insert(self, truth: Truth, values: Sequence[object]) -> tuple[Held, bytes, str]:
        write = self.write
        drafts = [chunk.draft for chunk in write.chunks]
        digest = chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts)
        vectors = b"".join(chunk.vector.values for chunk in write.chunks)
        first_row = truth.claim_rows(len(drafts))
        key = truth.insert_write(
            (write.document_uid, write.revision, first_row, len(drafts), digest, vectors)
        )
        truth.insert_chunks(
            chunk.row(first_row + chunk.chunk.draft.ordinal, key) for chunk in self.chunks
        )
        truth.insert_attributes(key, values)
        return truth.require_held(write.document_uid, write.revision), vectors, digest


@dataclass(frozen=True, slots=True)
class UpdateAttributes:
    """Puts new attributes in force for a revision, unless it has later ones."""

    write: AttributesWrite

    def apply(self, truth: Truth, version: int) -> Outcome:
        """Retire the attributes in force; RevisionNotFoundError when nothing is held."""
        write = self.write
        held = truth.held(write.document_uid, write.revision)
        if held is None:
            raise RevisionNotFoundError("the index holds no such revision of the document")
        if held.generation >= write.attributes.generation:
            return Outcome(Change())
        truth.retire_attributes(held.key, version)
        truth.insert_attributes(held.key, attributes_values(write.attributes))
        if held.title != write.attributes.title:
            truth.log(version, held.key)  # the title's words are searched for
        return Outcome(Change(attributed=(truth.require_held(write.document_uid, write.revision),)))


@dataclass(frozen=True, slots=True)
class DeleteRevisions:
    """Removes what is held of all revisions of a document below one."""

    document_uid: str
    below_revision: int

    def apply(self, truth: Truth, version: int) -> Outcome:
        """Retire the writes in force."""
        held = truth.held_below(self.document_uid, self.below_revision)
        for key, _ in held:
            truth.retire_write(key, version)
            truth.log(version, key)
        return Outcome(
            Change(retired=tuple(key for key, _ in held)),
            removed_chunks=sum(count for _, count in held),
        )
