"""Use cases of what was given up: look at it, and try it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import (
    BatchTooLargeError,
    DeadLetterNotFoundError,
    DeniedError,
    InvalidError,
    Violation,
)
from ragmesh.core.mending import DeadLetter, Replayed
from ragmesh.core.pages import Page, PageRequest
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.progress import JobBoard
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.tenancy import tenant_of

MOST_REPLAYED = 1_000
"""Most dead letters of one request."""


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """What an admin can do with work that was given up."""

    catalog: Catalog
    collections: Collections
    board: JobBoard

    async def get(self, caller: Caller, dead_letter_id: str) -> DeadLetter:
        """The dead letter, or DeadLetterNotFoundError."""
        refuse_others(caller)
        found = await self.catalog.find_dead_letter(tenant_of(caller), dead_letter_id)
        if found is None:
            raise DeadLetterNotFoundError(f"there is no dead letter {dead_letter_id[:80]!r}")
        return found

    async def list(
        self, caller: Caller, *, collection: str, reason: str, page: PageRequest
    ) -> Page[DeadLetter]:
        """Dead letters of a collection and for a reason, newest first; "" = of any."""
        refuse_others(caller)
        tenant_uid = tenant_of(caller)
        uid = (await self.collections.read(caller, collection)).uid if collection else None
        listing = f"dead letters {tenant_uid} {uid} {reason}"
        rows = await self.catalog.list_dead_letters(
            tenant_uid,
            collection_uid=uid,
            reason=reason,
            before_id=key_of(listing, page.token),
            limit=page.rows + 1,
        )
        return page_of(listing, page, rows, lambda letter: letter.dead_letter_id)

    async def replay(self, caller: Caller, dead_letter_ids: Sequence[str]) -> Replayed:
        """Have the work done again; asked twice, it is done once."""
        refuse_others(caller)
        refuse_count(len(dead_letter_ids))
        replayed, outcome = await self.catalog.replay_dead_letters(
            caller, tenant_of(caller), dead_letter_ids
        )
        self.board.changed(outcome.jobs)
        return replayed


def refuse_others(caller: Caller) -> None:
    """Raise DeniedError unless the caller runs the mesh, or carries out what its admins wrote."""
    if isinstance(caller, Machine):
        admitted = bool(caller.tenant_uid)
    else:
        admitted = caller.is_admin or caller.runs_mesh
    if not admitted:
        raise DeniedError("only admins may do this")


def refuse_count(count: int) -> None:
    """Raise when a replay names no dead letter, or too many."""
    field = "dead_letter_ids"
    if count == 0:
        raise InvalidError.of(field, "must name at least one dead letter")
    if count > MOST_REPLAYED:
        message = f"must name at most {MOST_REPLAYED} dead letters"
        raise BatchTooLargeError(
            f"{field} {message}",
            violations=[Violation(field, message)],
            metadata={"limit": str(MOST_REPLAYED)},
        )
