"""A candidate is filled no faster than the mesh allows, however many there are."""

from __future__ import annotations

from pathlib import Path

from ragmesh.core.documents import NewCollection
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.feeding import Pace
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stages import INDEXER
from tests.unit.indexing.migrating import NEW, OLD, TOPICS, Changing, changing, text_of
from tests.unit.indexing.world import ADMIN

RATE = 3.0
SLOW = IndexingSettings(migration_documents_per_second=RATE)


async def held(made: Changing, collection: str) -> int:
    """Documents that its candidate has."""
    uid = await made.candidate_uid(collection)
    if not uid:
        return 0
    page = await made.retrieval.list_document_digests(INDEXER, uid, PageRequest())
    return len(page.items)


async def filled(made: Changing, *collections: str) -> list[tuple[int, ...]]:
    """What their candidates have, second by second, until all have everything."""
    found: list[tuple[int, ...]] = []
    while not found or min(found[-1]) < len(TOPICS):
        assert len(found) < 100, found
        await made.turn(seconds=1.0)
        found.append(tuple([await held(made, one) for one in collections]))
    return found


async def test_a_candidate_is_filled_at_the_rate_that_is_set(tmp_path: Path) -> None:
    async with changing(tmp_path, golden=False, settings=SLOW) as made:
        await made.want(NEW)
        found = await filled(made, "docs")
    for seconds, (documents,) in enumerate(found):
        assert documents <= 1 + RATE * seconds
    assert len(found) <= len(TOPICS) / RATE + 2


async def test_several_candidates_share_the_rate_and_none_is_left_behind(tmp_path: Path) -> None:
    async with changing(tmp_path, golden=False, settings=SLOW) as made:
        service = made.indexing.service
        await service.create_collection(ADMIN, NewCollection("other", encoder=OLD))
        for topic in TOPICS:
            await made.upload(topic, text_of(topic), "other")
        await made.work()
        await made.want(NEW)
        await made.want(NEW, collection="other")
        found = await filled(made, "docs", "other")
    for seconds, documents in enumerate(found):
        assert sum(documents) <= 4 + RATE * seconds, found
        assert abs(documents[0] - documents[1]) <= 2, found
    assert len(found) <= 2 * len(TOPICS) / RATE + 3


def test_a_candidate_whose_workers_are_slower_leaves_its_share_to_the_others() -> None:
    pace = Pace(documents_per_second=10.0, window_documents=20)
    taken = {"slow": 0, "quick": 0}
    for second in range(100):
        pace.begin_look()
        for uid, most in (("slow", 1), ("quick", 1_000)):
            documents = min(pace.may_get(uid, float(second)), most)
            pace.got(uid, documents)
            taken[uid] += documents
    assert taken["slow"] >= 95
    assert 800 <= taken["quick"] <= 1 + 10 * 99 - taken["slow"] + 40


def test_what_was_saved_up_is_spent_once() -> None:
    pace = Pace(documents_per_second=10.0, window_documents=20)
    pace.begin_look()
    pace.got("a", pace.may_get("a", 0.0))
    pace.begin_look()
    assert pace.may_get("a", 1_000.0) == 20
    pace.got("a", 25)
    pace.begin_look()
    assert pace.may_get("a", 1_000.5) == 0
    pace.begin_look()
    assert pace.may_get("a", 1_001.0) == 5


def test_a_version_that_is_gone_shares_nothing_any_more() -> None:
    pace = Pace(documents_per_second=10.0, window_documents=20)
    for uid in ("a", "b"):
        pace.begin_look()
        pace.got(uid, pace.may_get(uid, 0.0))
    pace.forget("b")
    pace.begin_look()
    assert pace.may_get("a", 1.0) == 10
