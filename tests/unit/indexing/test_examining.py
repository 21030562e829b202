"""The version that serves is asked its golden questions again, and nothing but that is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragmesh.chassis.grpc_channels import ChannelOptions
from ragmesh.core.callers import Caller
from ragmesh.core.errors import UnavailableError
from ragmesh.core.ids import new_uid
from ragmesh.core.migrations import (
    FOR_MIGRATION,
    ON_SCHEDULE,
    EvaluationRecord,
    GateVerdict,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.quality import Quality, QualityVerdict
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.evaluation.golden import MAX_QUESTIONS
from ragmesh.indexing.asking import Asker
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.retrieval.follower import STALE_HEADS
from ragmesh.retrieval.reranking import RERANK_SKIPPED
from ragmesh.retrieval.service import (
    EMBEDDING_UNAVAILABLE,
    INDEX_INCOMPLETE,
    RetrievalService,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.migrations import golden_lines
from tests.unit.indexing.migrating import NEW, OLD, TOPICS, changing, text_of
from tests.unit.indexing.world import ADMIN

FEW = TOPICS[:3]
LOST = TOPICS[:12]
DAY = 24 * 3_600.0


async def test_what_is_found_first_is_what_later_evaluations_are_compared_with(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        never = (await made.migration()).quality
        first = await made.examined()
        later = await made.examined(DAY + 1)
    assert never is None
    assert first is not None
    assert later is not None
    assert (first.verdict, later.verdict) == (QualityVerdict.FIRST, QualityVerdict.KEPT)
    assert {one.metric for one in later.metrics} == {"recall", "ndcg", "mrr"}
    assert {(one.value, one.before, one.questions) for one in later.metrics} == {(1.0, 1.0, 24)}
    assert later.at - first.at == timedelta(seconds=DAY + 1)


async def test_documents_that_went_make_the_quality_fall_and_no_index_is_changed(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.examined()
        before = await made.migration()
        await made.lose(LOST)
        fallen = await made.examined(DAY + 1)
        after = await made.migration()
    assert fallen is not None
    assert fallen.verdict is QualityVerdict.FALLEN
    assert fallen.message.startswith("recall: 1.0000 → 0.5000")
    assert (after.phase, after.flips, after.shares) == (MigrationPhase.IDLE, 0, before.shares)
    assert replace(after, quality=before.quality) == before


async def test_quality_that_came_back_is_kept_again(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        await made.examined()
        await made.lose(LOST)
        await made.examined(DAY + 1)
        for topic in LOST:
            await made.upload(topic, text_of(topic))
        await made.work()
        await made.examined(DAY + 1)
        assert await made.verdicts() == ["first", "fallen", "kept"]


async def test_questions_kept_before_their_documents_are_no_excuse_for_a_fall_later(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, topics=TOPICS[:2], golden=False) as made:
        await made.keep_golden()
        await made.examined()
        for topic in TOPICS[2:]:
            await made.upload(topic, text_of(topic))
        await made.work()
        await made.examined(DAY + 1)
        await made.examined(DAY + 1)
        await made.lose(LOST)
        found = await made.examined(DAY + 1)
        assert await made.verdicts() == ["first", "risen", "kept", "fallen"]
    assert found is not None
    assert found.message.startswith("recall: 1.0000 → 0.5000")


async def test_a_version_is_asked_once_in_the_interval_and_new_questions_at_once(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.examined()
        await made.examined(DAY - 1)
        assert await made.verdicts() == ["first"]
        await made.keep_golden(TOPICS[:21])
        found = await made.examined()
        assert await made.verdicts() == ["first", "first"]
    assert found is not None
    assert {one.questions for one in found.metrics} == {21}


async def test_a_version_that_passed_the_gate_is_compared_with_what_it_had_there(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.want(NEW, MigrationPolicy(canary=(), soak_seconds=10.0))
        done = await made.until(MigrationPhase.IDLE, seconds=20.0)
        assert done.quality is None
        found = await made.examined()
        assert await made.verdicts(FOR_MIGRATION) == ["pass"]
    assert done.verdict is GateVerdict.PASS
    assert found is not None
    assert (found.verdict, found.index_version) == (QualityVerdict.KEPT, done.serving)


async def test_a_loss_that_the_policy_of_the_collection_allows_is_none(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        await made.want(NEW, MigrationPolicy(canary=(), soak_seconds=10.0, max_regression=0.9))
        await made.until(MigrationPhase.IDLE, seconds=20.0)
        await made.lose(LOST)
        found = await made.examined()
    assert found is not None
    assert found.verdict is QualityVerdict.KEPT


async def test_too_few_questions_decide_nothing(tmp_path: Path) -> None:
    async with changing(tmp_path, topics=FEW) as made:
        found = await made.examined()
    assert found is not None
    assert found.verdict is QualityVerdict.INCONCLUSIVE
    assert "3 questions were measured, at least 20 are needed" in found.message


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        ([("Where?", "nowhere")] * 1, "most likely the questions name ids"),
        ([("Where?", "")], "keeps no golden questions that a document answers"),
    ],
)
async def test_questions_that_can_judge_nothing_say_so(
    tmp_path: Path, golden: list[tuple[str, str]], said: str
) -> None:
    async with changing(tmp_path, topics=FEW, golden=False) as made:
        content = golden_lines(golden) if golden[0][1] else UNANSWERED
        await made.indexing.service.set_golden_questions(ADMIN, "docs", content)
        found = await made.examined()
    assert found is not None
    assert found.verdict is QualityVerdict.INCONCLUSIVE
    assert said in found.message


UNANSWERED = '{"question": "What was never written?", "relevant": {}}'


@dataclass
class Away:
    """An index that cannot be asked."""

    calls: int = 0

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        self.calls += 1
        raise UnavailableError("the index is away")


async def test_an_index_that_is_away_is_left_alone_and_asked_again_at_the_next_look(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        index = Away()
        away = replace(made.examiner, asker=Asker(index, made.clock))  # type: ignore[arg-type]
        await away.look()
        assert index.calls == 10
        assert await made.verdicts() == []
        await made.examined(60.0)
        assert await made.verdicts() == ["first"]


@dataclass(frozen=True)
class Marked:
    """An index whose searches say that something was missing."""

    index: RetrievalService
    mark: str

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        return replace(await self.index.retrieve(caller, query), degraded=(self.mark,))


@pytest.mark.parametrize(
    "mark", [STALE_HEADS, INDEX_INCOMPLETE, EMBEDDING_UNAVAILABLE, RERANK_SKIPPED]
)
async def test_a_search_that_missed_something_says_nothing_of_the_version(
    tmp_path: Path, mark: str
) -> None:
    async with changing(tmp_path, topics=FEW) as made:
        index = Marked(made.retrieval, mark)
        asker = Asker(index, made.clock)  # type: ignore[arg-type]  # nothing else is called
        await replace(made.examiner, asker=asker).look()
        assert await made.verdicts() == []


async def test_an_index_that_was_away_for_a_moment_is_asked_once_more(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        index = Renewed(made.retrieval)
        asker = Asker(index, made.clock)  # type: ignore[arg-type]  # nothing else is called
        await replace(made.examiner, asker=asker).look()
        assert await made.verdicts() == ["first"]
    assert index.calls == len(TOPICS) + 3


@dataclass
class Renewed:
    """An index that does not answer three searches in a row."""

    index: RetrievalService
    calls: int = 0

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        self.calls += 1
        if 4 <= self.calls < 7:
            raise UnavailableError("the index is renewed")
        return await self.index.retrieve(caller, query)


async def test_an_encoder_that_is_away_makes_no_quality_fall(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        await made.examined()
        encoder = made.embedders.embedders[OLD].encoder
        encoder.failure = UnavailableError("the encoder is away")
        await made.examined(DAY + 1)
        assert await made.verdicts() == ["first"]
        encoder.failure = None
        await made.examined(60.0)
        assert await made.verdicts() == ["first", "kept"]


async def test_without_golden_questions_or_an_interval_nothing_is_asked(tmp_path: Path) -> None:
    async with changing(tmp_path, topics=FEW, golden=False) as made:
        assert await made.examined() is None
        await made.keep_golden(FEW)
        await replace(made.examiner, interval_seconds=0.0).look()
        assert (await made.migration()).quality is None


async def test_questions_are_asked_at_the_pace_of_the_settings(tmp_path: Path) -> None:
    async with changing(tmp_path, topics=FEW) as made:
        clock = made.clock
        looking = asyncio.ensure_future(made.indexing.examiner.look())
        for _ in FEW[1:]:
            await clock.until_asleep()
            assert not looking.done()
            await clock.advance(0.2)
        await looking
        assert (await made.migration()).quality is not None


async def test_it_looks_every_minute_by_itself(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(made.examiner.run())
            await made.clock.until_asleep()
            await made.clock.advance(60.0)
            await made.clock.until_asleep()
            running.cancel()
        assert await made.verdicts() == ["first"]


async def test_the_newest_hundred_are_kept_and_what_they_are_compared_with(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        first = await made.examined()
        assert first is not None
        row = await made.indexing.service.collections.read(ADMIN, "docs")
        catalog = made.indexing.ledger.catalog
        golden = await catalog.find_golden(row.uid)
        assert golden is not None
        kept = replace(first, verdict=QualityVerdict.KEPT)
        for _ in range(105):
            record = scheduled(kept, made.clock, golden.digest)
            await catalog.record_quality(row.uid, record, kept)
        assert await made.verdicts() == ["first", *["kept"] * 100]


async def test_a_page_of_evaluations_fits_a_reply_however_many_questions_there_are(
    tmp_path: Path,
) -> None:
    name = "n" * 100
    question = {"id": "", "question": "Where is the amber kept?", "relevant": {"amber": 1}}
    lines = [json.dumps(question | {"id": f"{name[:-1]}{number}"}) for number in range(9)]
    async with changing(tmp_path, topics=FEW, golden=False) as made:
        service = made.indexing.service
        await service.set_golden_questions(ADMIN, "docs", "\n".join(lines))
        for _ in range(9):
            await made.examined(DAY + 1)
        page = await service.list_evaluations(ADMIN, "docs", PageRequest(1_000))
    longest = sum(len(one.content) for one in page.items) / len(lines)
    figures = 6 * len("0.6309297535714575") * len(page.items)
    assert (longest + figures) * MAX_QUESTIONS < ChannelOptions().max_message_bytes
    assert page.next_token


async def test_questions_that_always_change_leave_no_more_than_the_newest_hundred(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        first = await made.examined()
        assert first is not None
        row = await made.indexing.service.collections.read(ADMIN, "docs")
        catalog = made.indexing.ledger.catalog
        for number in range(105):
            record = scheduled(first, made.clock, f"digest {number}")
            await catalog.record_quality(row.uid, record, first)
        assert await made.verdicts() == ["first"] * 100


def scheduled(found: Quality, clock: ManualClock, digest: str = "digest") -> EvaluationRecord:
    version = found.index_version
    return EvaluationRecord(
        new_uid(), ON_SCHEDULE, version, version, digest, found.verdict.value, "{}", clock.now()
    )


async def test_a_clock_that_was_set_back_puts_no_evaluation_off(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        await made.examined()
        await made.examined(400 * DAY)
        made.clock.set_back(400 * DAY)
        await made.lose(LOST)
        found = await made.examined(DAY + 1)
        assert await made.verdicts() == ["first", "kept", "fallen"]
    assert found is not None
    assert found.verdict is QualityVerdict.FALLEN


async def test_what_is_found_of_a_deleted_collection_is_not_kept(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        found = await made.examined()
        assert found is not None
        row = await made.indexing.service.collections.read(ADMIN, "docs")
        await made.indexing.service.delete_collection(ADMIN, "docs")
        catalog = made.indexing.ledger.catalog
        before = await catalog.list_evaluations(row.uid, before_id="", limit=10)
        await catalog.record_quality(row.uid, scheduled(found, made.clock), found)
        assert await catalog.list_evaluations(row.uid, before_id="", limit=10) == before
        assert await catalog.list_unexamined(made.clock.now(), after_uid="", limit=10) == ()


def test_settings_say_how_often_and_how_fast(tmp_path: Path) -> None:
    assert IndexingSettings().evaluation_hours == 24.0
    with pytest.raises(ValidationError):
        IndexingSettings(evaluation_hours=-1.0)
    with pytest.raises(ValidationError):
        IndexingSettings(evaluation_questions_per_second=0.0)


@dataclass
class Doomed:
    """An index whose collection is deleted while it is asked."""

    target: RetrievalService
    delete: Callable[[], Awaitable[None]]
    asked: int = 0

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        self.asked += 1
        if self.asked == 3:
            await self.delete()
        return await self.target.retrieve(caller, query)


async def test_a_collection_that_is_deleted_meanwhile_is_asked_no_more(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        service = made.indexing.service
        doomed = Doomed(made.retrieval, lambda: service.delete_collection(ADMIN, "docs"))
        asker = Asker(doomed, made.clock)  # type: ignore[arg-type]  # nothing else is asked of it
        await replace(made.examiner, asker=asker).look()
    assert doomed.asked == 10 < len(TOPICS)
