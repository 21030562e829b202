"""What the reconciler may do at most, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class ReconcilerLimits:
    """How often the reconciler looks, and how much at once."""

    pause_seconds: float = 60.0
    overdue_seconds: float = 900.0
    """A document that was relayed this long ago and has not ended is relayed again."""
    first_overdue_seconds: float = 0.0
    """The same at the start, where whatever was under way ended with the last process."""
    seconds_a_document: float = 0.006
    """A collection is compared again after a pause and this much for each of its documents."""
    blob_pause_seconds: float = 3_600.0
    """Between two looks at all blobs."""
    blob_grace_seconds: float = 3_600.0
    """A blob is written before the row that names it: younger ones are left alone."""
    checked_bytes: int = 256 * 1024 * 1024
    """Most bytes of stored files that one look at them reads; the next goes on from there."""
    read_after_seconds: float = 0.0
    """Files are not read for so long from the start on: others need the disk then."""
    job_seconds: float = 30 * 86_400.0
    """How long jobs are kept after their end; a document's last one stays with it."""
    deleted_seconds: float = 20 * 3_600.0
    """How long a deleted document can be restored; then its content is erased."""
    dead_letter_seconds: float = 90 * 86_400.0
    """How long dead letters are kept that nothing has resolved."""
    record_days: float = 400.0
    """How long usage, sights and audit are kept of tenants that say nothing of their own."""
    rows: int = 1_000
    """Most rows of one page."""
    suspects: int = 10_000
    """Most differences of one collection looked into at a time; the rest waits for the next."""


@dataclass(slots=True)
class Repairs:
    """What one pass did."""

    relayed: int = 0
    """Documents put to the worker again."""
    made: int = 0
    """Index versions that the index did not know, or whose store is damaged and set aside."""
    dropped: int = 0
    """Index versions of deleted collections."""
    rewritten: int = 0
    """Published documents whose chunks were missing or not the promised ones."""
    removed_chunks: int = 0
    """Chunks that no head names."""
    removed_blobs: int = 0
    """Stored files that no revision names."""
    reread: int = 0
    """Revisions whose stored text is damaged: it is extracted again."""
    failed: int = 0
    """Documents that FAILED because their stored file is missing or damaged."""
    lost: int = 0
    """Earlier revisions whose stored file is missing or damaged; nobody can bring it back."""
    erased: int = 0
    """Deleted documents whose content was erased."""
    forgotten: int = 0
    """Ended jobs, dead letters, and rows of usage and audit whose time was over."""
    skipped: int = 0
    """Index versions and stored files that could not be looked at; the log says why."""

    @property
    def counts(self) -> dict[str, int]:
        """What was done, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def is_idle(self) -> bool:
        """Whether nothing was amiss."""
        return not any(self.counts.values())
