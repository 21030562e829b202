"""What a tenant may still keep, pure."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.errors import QuotaExceededError
from ragmesh.core.tenants import Quota
from ragmesh.indexing.acceptance import Decision, Verdict
from ragmesh.indexing.rows import DocumentRow


@dataclass(frozen=True, slots=True)
class Kept:
    """What a tenant keeps, or what one document would add to it."""

    documents: int = 0
    """That are not deleted."""
    storage_bytes: int = 0
    """Of the contents of all their revisions."""

    def plus(self, more: Kept) -> Kept:
        """Both together."""
        return Kept(self.documents + more.documents, self.storage_bytes + more.storage_bytes)


@dataclass(slots=True)
class Room:
    """What there is room for; whoever finds some takes it."""

    quota: Quota
    kept: Kept

    def take(self, more: Kept) -> None:
        """Make room for this, or raise QuotaExceededError and leave everything as it is."""
        kept = self.kept.plus(more)
        for name, limit, is_more, value in (
            ("documents", self.quota.documents, more.documents, kept.documents),
            ("storage_bytes", self.quota.storage_bytes, more.storage_bytes, kept.storage_bytes),
        ):
            if limit and is_more and value > limit:
                raise QuotaExceededError(
                    f"the tenant may keep {limit} {name} and would have {value}",
                    metadata={"quota": name, "limit": str(limit)},
                )
        self.kept = kept


def is_bounded(quota: Quota) -> bool:
    """Whether anything needs to be counted."""
    return bool(quota.documents or quota.storage_bytes)


def added_by(current: DocumentRow | None, decision: Decision, size_bytes: int) -> Kept:
    """What an upload of this size adds."""
    is_new = current is None or current.deleted
    is_stored = decision.verdict is Verdict.CONTENT
    return Kept(int(is_new), size_bytes if is_stored else 0)
