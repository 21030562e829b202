"""Idempotency keys outlive the process, and are forgotten after a day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ragmesh.core.documents import DocumentChange, NewCollection, Upload
from ragmesh.core.errors import IdempotencyKeyInUseError, UnavailableError
from ragmesh.indexing.claims import KEPT, Claim, Target, claiming, fingerprint_of
from ragmesh.testing.idempotency_contract import keyed
from ragmesh.testing.indexing_world import ADMIN, World
from tests.unit.indexing.world import world


async def upload(made: World, content: bytes = b"x") -> str:
    with keyed("k"):
        (outcome,) = await made.service.create_documents(ADMIN, "docs", [Upload(content)])
    return repr(outcome)


async def count(made: World) -> int:
    return (await made.service.get_collection(ADMIN, "docs")).documents


async def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await upload(made)
    async with world(tmp_path) as made:
        assert await upload(made) == first
        assert await count(made) == 1


async def test_a_key_is_free_again_after_a_day(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        first = await upload(made)
        await made.clock.advance((KEPT - timedelta(seconds=1)).total_seconds())
        assert await upload(made) == first
        await made.clock.advance(1)
        assert await upload(made, b"y") != first
        assert await count(made) == 2


async def test_a_collection_that_could_not_be_made_leaves_its_key_unused(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        made.registry.error = UnavailableError("the index is away")
        with keyed("k"), pytest.raises(UnavailableError):
            await made.service.create_collection(ADMIN, NewCollection("more"))
        made.registry.error = None
        with keyed("k"):
            assert (await made.service.create_collection(ADMIN, NewCollection("more"))).name


async def test_two_processes_with_one_key_do_not_both_write(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.upload("a")
        catalog = made.indexing.ledger.catalog
        row = await made.service.collections.read(ADMIN, "docs")
        target = Target("UpdateDocument", "docs", "a")
        change = DocumentChange("T")
        for attempt in range(2):
            claim = Claim(row.tenant_uid, ADMIN.subject, target, "k", fingerprint_of(change))
            with claiming(claim):
                if attempt == 0:
                    await catalog.change_document(ADMIN, row, "a", change)
                    continue
                with pytest.raises(IdempotencyKeyInUseError):
                    await catalog.change_document(ADMIN, row, "a", change)
        document = await made.service.get_document(ADMIN, "docs", "a")
        assert document.generation == 2


def test_a_fingerprint_is_of_what_was_said_and_not_of_how() -> None:
    first = Upload(b"x", "a")
    assert fingerprint_of([first]) == fingerprint_of((Upload(b"x", "a"),))
    for other in (Upload(b"y", "a"), Upload(b"x"), Upload(b"x", "a", filename="f")):
        assert fingerprint_of([other]) != fingerprint_of([first])
