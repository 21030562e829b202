"""The rules of acceptance, pure: what an upload is to a document, and what access may move when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ragmesh.core.callers import Access
from ragmesh.core.documents import DocumentState
from ragmesh.core.errors import StoreDamagedError
from ragmesh.indexing.rows import Candidate, DocumentRow


class Verdict(Enum):
    """What an upload is to the document it names."""

    NOTHING_NEW = "nothing new"
    """The document's current job is the answer."""
    ATTRIBUTES = "attributes"
    """Equal content with other attributes: a new generation, no embedding."""
    CONTENT = "content"
    """A new revision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with the numbers that the document gets."""

    verdict: Verdict
    revision: int
    generation: int
    known_blob: str | None
    """Blob of the document that already holds the content."""


def decide(current: DocumentRow | None, candidate: Candidate) -> Decision:
    """What the candidate is; revisions never restart, not even after a delete.

    A failed document is taken up again as a new revision of the same bytes. Those that it has are
    not believed in when they are why it failed.
    """
    if current is None:
        return Decision(Verdict.CONTENT, 1, 1, None)
    same_content = current.content_sha256 == candidate.content_sha256 and not current.deleted
    same_attributes = not current.deleted and (
        (current.title, current.metadata, current.access)
        == (candidate.title, candidate.metadata, candidate.access)
    )
    generation = current.generation if same_attributes else current.generation + 1
    is_damaged = current.error is not None and current.error.reason == StoreDamagedError.reason
    known_blob = current.source_blob if same_content and not is_damaged else None
    if not same_content or current.state is DocumentState.FAILED:
        return Decision(Verdict.CONTENT, current.revision + 1, generation, known_blob)
    verdict = Verdict.NOTHING_NEW if same_attributes else Verdict.ATTRIBUTES
    return Decision(verdict, current.revision, generation, known_blob)


def narrowed(published: Access, wanted: Access) -> Access:
    """Who may see a published head once `wanted` was asked for and the store still has the old.

    Nobody is let in before the store has caught up; whoever is shut out is out at once.
    """
    if wanted.covers(published):
        return published
    if published.groups is None or wanted.groups is None:
        return wanted if published.groups is None else published
    return Access(tuple(set(published.groups) & set(wanted.groups)))
