"""Whoever is shut out does not find a document with the next search, before any worker ran."""

from __future__ import annotations

from pathlib import Path

from ragmesh.core.callers import ADMINS_ONLY, DEFAULT_TENANT_UID, Access, Principal
from ragmesh.core.documents import (
    CollectionChange,
    DefaultAccess,
    DocumentChange,
    JobState,
    NewCollection,
)
from tests.integration.indexing.running import Running, running
from tests.unit.indexing.world import ADMIN

MIA = Principal(DEFAULT_TENANT_UID, "mia", frozenset({"sales"}))
QUESTION = "Where is the wombat?"


async def found(made: Running, caller: Principal) -> bool:
    return await made.found(QUESTION, caller=caller) == ["d0"]


async def change(made: Running, change: DocumentChange) -> JobState:
    accepted = await made.indexing.service.update_document(ADMIN, "docs", "d0", change)
    seen = await found(made, MIA)
    assert seen is False or change.access == Access(("sales",))
    return await made.ended(accepted)


async def test_a_tighter_access_holds_with_the_next_search(tmp_path: Path) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        (accepted,) = await made.upload("The wombat sleeps.")
        await made.ended(accepted)
        assert await found(made, MIA)
        embedded = len(made.embedder.passages)
        for closed in (Access(("board",)), ADMINS_ONLY, Access(("hr", "board"))):
            assert await change(made, DocumentChange(access=closed)) is JobState.SUCCEEDED
            assert await found(made, ADMIN)
            opened = DocumentChange(access=Access(("sales",)))
            assert await change(made, opened) is JobState.SUCCEEDED
            assert await found(made, MIA)
        assert len(made.embedder.passages) == embedded


async def test_a_tighter_default_holds_with_the_next_search(tmp_path: Path) -> None:
    async with running(tmp_path) as made:
        service = made.indexing.service
        await service.create_collection(ADMIN, NewCollection("docs"))
        (accepted,) = await made.upload("The wombat sleeps.")
        await made.ended(accepted)
        assert await found(made, MIA)
        tighter = CollectionChange(default_access=DefaultAccess.RESTRICTED)
        await service.update_collection(ADMIN, "docs", tighter)
        assert not await found(made, MIA)
        assert await found(made, ADMIN)


async def test_a_deleted_document_is_gone_with_the_next_search(tmp_path: Path) -> None:
    async with running(tmp_path) as made:
        await made.indexing.service.create_collection(ADMIN, NewCollection("docs"))
        (accepted,) = await made.upload("The wombat sleeps.")
        await made.ended(accepted)
        await made.indexing.service.delete_document(ADMIN, "docs", "d0")
        assert not await found(made, ADMIN)
        restored = await made.indexing.service.restore_revision(ADMIN, "docs", "d0", 1)
        await made.ended(restored)
        assert await found(made, ADMIN)
