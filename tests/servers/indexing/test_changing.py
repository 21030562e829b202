"""The index of a live collection is changed in PostgreSQL and Weaviate as it is in files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ragmesh.core.documents import JobState
from ragmesh.core.errors import UnavailableError
from ragmesh.core.migrations import (
    CanaryStep,
    GateVerdict,
    IndexChange,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.quality import QualityVerdict
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.building import Places
from ragmesh.retrieval.ports import VectorIndex
from tests.servers.retrieval.stores import index_on
from tests.unit.indexing.migrating import BAD, NEW, OLD, TOPICS, changing, text_of
from tests.unit.indexing.world import ADMIN
from tools.servers.server import Server

pytestmark = pytest.mark.servers

FEW = TOPICS[:3]
FAST = MigrationPolicy(canary=(CanaryStep(50, 5.0),), soak_seconds=30.0, min_questions=2)


async def test_a_better_index_takes_over_and_a_delete_meanwhile_holds_in_both(
    place: PostgresPlace, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where) as made:
        before = await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING)
        await made.indexing.service.delete_document(ADMIN, "docs", "basil")
        await made.turn()
        after = await made.until(MigrationPhase.IDLE, seconds=10.0)
        hits = (await made.search("the basil room")).hits
        assert (after.flips, after.verdict) == (1, GateVerdict.PASS)
        assert after.serving != before.serving
        assert "basil" not in {hit.document_id for hit in hits}


async def test_a_rollback_loses_nothing_that_was_written_meanwhile(
    place: PostgresPlace, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where) as made:
        old = await made.want(NEW, replace(FAST, soak_seconds=7_200.0))
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        await made.upload("late", text_of("walrus"))
        await made.turn()
        await made.command(MigrationCommand.ROLLBACK, "worse in the afternoon")
        back = await made.until(MigrationPhase.FAILED)
        assert (back.serving, back.reason) == (old.serving, "ROLLED_BACK")
        assert (await made.search("the walrus room")).hits[0].document_id == "late"


async def test_uploads_that_never_stop_keep_no_index_from_being_changed(
    place: PostgresPlace, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where) as made:
        old = await made.want(NEW, FAST)
        for number in range(40):
            await made.upload(f"u{number}", text_of(f"word{number}"))
            found = await made.turn()
            if found.phase is MigrationPhase.SOAKING:
                break
        assert (found.phase, found.flips) == (MigrationPhase.SOAKING, 1), found
        assert found.serving != old.serving
        await made.turn()
        assert (await made.search(f"the word{number} room")).hits[0].document_id == f"u{number}"


async def test_a_quality_that_fell_is_found_on_schedule(
    place: PostgresPlace, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, where=where) as made:
        first = await made.examined()
        await made.lose(TOPICS[:12])
        fallen = await made.examined(25 * 3_600.0)
        assert first is not None
        assert fallen is not None
        assert (first.verdict, fallen.verdict) == (QualityVerdict.FIRST, QualityVerdict.FALLEN)
        assert await made.verdicts() == ["first", "fallen"]


async def test_of_what_is_found_on_schedule_the_newest_and_their_references_stay(
    place: PostgresPlace, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, where=where) as made:
        for number in range(53):
            await made.keep_golden(TOPICS[: 20 + number % 2])
            await made.examined()
            await made.examined(25 * 3_600.0)
        assert await made.verdicts() == ["first", "first", *["kept"] * 100]


@pytest.fixture
async def index(weaviate_server: Server) -> AsyncIterator[VectorIndex]:
    """Where chunks are."""
    async with index_on(weaviate_server) as index:
        yield index


@pytest.mark.parametrize(
    ("planted", "reason"), [("empty", "CANDIDATE_EMPTY"), ("partial", "CANDIDATE_PARTIAL")]
)
async def test_a_candidate_that_lacks_documents_in_weaviate_is_refused(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path, planted: str, reason: str
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        before = await made.want(NEW, FAST)
        await made.turn()
        await made.plant(planted)
        after = await made.until(MigrationPhase.FAILED)
    assert after.reason == reason
    assert (after.serving, after.route_epoch) == (before.serving, before.route_epoch)


async def test_random_vectors_in_weaviate_are_refused_and_not_tried_again_after_a_restart(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, where=where, index=index) as made:
        before = await made.want(BAD)
        after = await made.until(MigrationPhase.FAILED)
    assert after.reason == "QUALITY_GATE_FAILED"
    assert (after.serving, after.route_epoch) == (before.serving, before.route_epoch)
    async with changing(tmp_path, where=where, before=made, index=index) as again:
        found = await again.turn(seconds=10_000.0)
    assert (found.phase, found.candidate) == (MigrationPhase.FAILED, "")


async def test_there_and_back_again_loses_nothing_in_weaviate(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        await made.upload("late", text_of("walrus"))
        await made.indexing.service.delete_document(ADMIN, "docs", "basil")
        await made.until(MigrationPhase.IDLE, seconds=20.0)
        await made.want(OLD, FAST)
        back = await made.until(MigrationPhase.SOAKING, seconds=10.0)
        late = (await made.search("the walrus room")).hits
        gone = (await made.search("the basil room")).hits
    assert (back.flips, back.encoder) == (2, OLD)
    assert back.serving.startswith("v3-")
    assert late[0].document_id == "late"
    assert "basil" not in {hit.document_id for hit in gone}


async def test_a_rollback_in_weaviate_after_half_an_hour_of_writes_loses_nothing(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        old = await made.want(NEW, replace(FAST, soak_seconds=7_200.0))
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        for minute in range(30):
            await made.upload(f"m{minute}", text_of(f"word{minute}"))
            await made.turn(seconds=60.0)
        began, really = made.clock.monotonic(), time.monotonic()
        await made.command(MigrationCommand.ROLLBACK, "worse in the afternoon")
        back = await made.until(MigrationPhase.FAILED)
        assert made.clock.monotonic() - began <= 5.0
        assert time.monotonic() - really <= 5.0
        assert (back.serving, back.reason) == (old.serving, "ROLLED_BACK")
        for minute in range(30):
            hits = (await made.search(f"the word{minute} room")).hits
            assert hits[0].document_id == f"m{minute}"


async def test_a_candidate_whose_encoder_is_away_delays_no_upload_on_servers(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        old = await made.want(NEW, FAST)
        made.embedders.embedders[NEW].encoder.failure = UnavailableError("away")
        await made.turn()
        for number in range(3):
            accepted = await made.upload(f"late{number}", text_of(f"walrus{number}"))
            await made.work()
            assert (await made.job(accepted)).state is JobState.SUCCEEDED
            hits = (await made.search(f"the walrus{number} room")).hits
            assert hits[0].document_id == f"late{number}"
        waiting = await made.turn()
        assert (waiting.phase, waiting.serving) == (MigrationPhase.BACKFILLING, old.serving)
        made.embedders.embedders[NEW].encoder.failure = None
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
        assert done.flips == 1
        assert (await made.search("the walrus2 room")).hits[0].document_id == "late2"


async def test_another_wish_in_mid_migration_begins_anew_on_servers(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        first = await made.want(NEW, FAST)
        trying = await made.until(MigrationPhase.CANARY)
        change = IndexChange(encoder=NEW, language="de")
        await made.indexing.service.want_index(ADMIN, "docs", change)
        anew = await made.turn()
        assert anew.candidate not in ("", trying.candidate)
        assert [(one.index_version, one.weight) for one in anew.shares] == [(first.serving, 100)]
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
        hits = (await made.search("the basil room")).hits
    assert (done.flips, done.language) == (1, "de")
    assert done.serving == anew.candidate
    assert hits[0].document_id == "basil"


async def test_a_document_that_is_deleted_meanwhile_is_gone_from_both_stores(
    place: PostgresPlace, index: VectorIndex, tmp_path: Path
) -> None:
    where = Places(place, tmp_path / "blobs")
    async with changing(tmp_path, topics=FEW, where=where, index=index) as made:
        await made.want(NEW, FAST)
        trying = await made.until(MigrationPhase.CANARY)
        uids = [one.index_version_uid for one in trying.shares]
        before = [await held_documents(index, uid) for uid in uids]
        await made.indexing.service.delete_document(ADMIN, "docs", "amber")
        for number in range(20):
            found = await made.search("the amber room", affinity=f"user{number}")
            assert "amber" not in {hit.document_id for hit in found.hits}
        await made.work()
        await made.turn()
        after = [await held_documents(index, uid) for uid in uids]
    assert (len(uids), [len(one) for one in before]) == (2, [3, 3])
    assert [len(one) for one in after] == [2, 2]
    assert after[0] == after[1] < before[0]


async def held_documents(index: VectorIndex, index_version_uid: str) -> set[str]:
    """Uids of the documents of which the store has chunks, as it says itself."""
    page = await index.list_digests(index_version_uid, PageRequest())
    return {one.document_uid for one in page.items}
