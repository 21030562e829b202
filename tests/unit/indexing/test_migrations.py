"""An index is changed while it is asked, and nobody notices."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from ragmesh.core.callers import Machine
from ragmesh.core.documents import JobState, NewCollection
from ragmesh.core.errors import (
    EncoderNotFoundError,
    IndexVersionGoneError,
    MigrationCommandRefusedError,
    RagmeshError,
    UnavailableError,
)
from ragmesh.core.index import Chunk
from ragmesh.core.migrations import (
    FOR_MIGRATION,
    Approval,
    CanaryStep,
    GateVerdict,
    IndexChange,
    MetricBound,
    Migration,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
    RouteBatch,
)
from ragmesh.core.pages import PageRequest
from ragmesh.core.usage import AuditQuery
from ragmesh.core.vectors import Lane, Passage, PassageEmbedding
from ragmesh.embedding.ports import EncodedText
from ragmesh.gateway.routes import LEASE_SECONDS
from ragmesh.indexing.asking import PATIENT
from ragmesh.indexing.migration_state import Change
from ragmesh.indexing.settings import IndexingSettings
from ragmesh.indexing.stages import INDEXER
from ragmesh.testing.embedding import FakeEmbedder, FakeEncoder
from ragmesh.testing.memory_index import MemoryIndex
from ragmesh.testing.migrations import golden_lines
from tests.unit.indexing.migrating import (
    BAD,
    NEW,
    OLD,
    QUICK,
    TOPICS,
    Changing,
    changing,
    text_of,
)
from tests.unit.indexing.world import ADMIN

FEW = TOPICS[:3]
FAST = MigrationPolicy(canary=(CanaryStep(50, 5.0),), soak_seconds=30.0, min_questions=2)


@dataclass(slots=True)
class Refusing(FakeEncoder):
    """Embeds no passage, for each of the causes in turn."""

    causes: Sequence[RagmeshError] = ()
    asked: int = 0

    async def encode_passages(self, passages: Sequence[Passage]) -> tuple[PassageEmbedding, ...]:
        self.asked += 1
        raise self.causes[self.asked % len(self.causes)]


@asynccontextmanager
async def small(folder: Path, **more: Any) -> AsyncIterator[Changing]:
    """Three documents and as many golden questions."""
    async with changing(folder, topics=FEW, **more) as made:
        yield made


def uid_of(found: Migration, name: str) -> str:
    """The uid of a version that has a share of the questions."""
    return next(one.index_version_uid for one in found.shares if one.index_version == name)


async def test_a_good_encoder_ends_in_a_new_version_after_one_flip(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        before = await made.migration()
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING)
        after = await made.until(MigrationPhase.IDLE, seconds=10.0)
        found = await made.search("Where is the cedar kept?")
    assert made.seen == [
        MigrationPhase.BACKFILLING,
        MigrationPhase.CANARY,
        MigrationPhase.SOAKING,
        MigrationPhase.IDLE,
    ]
    assert (before.flips, after.flips) == (0, 1)
    assert before.serving != after.serving
    assert after.verdict is GateVerdict.PASS
    assert found.index_version_uid == uid_of(after, after.serving)
    assert found.hits[0].document_id == "cedar"


async def test_a_wish_is_told_as_begun_or_refused_before_anybody_has_looked_at_it(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        serving = (await made.migration()).serving
        told = await made.want(NEW, FAST)
        assert (told.phase, told.serving) == (MigrationPhase.PROVISIONING, serving)
        told = await made.want(OLD, FAST)
        assert (told.phase, told.reason) == (MigrationPhase.IDLE, "")
    other = tmp_path / "bad"
    other.mkdir()
    async with changing(other) as made:
        await made.want(BAD)
        await made.until(MigrationPhase.FAILED)
        await made.want(OLD)
        await made.until(MigrationPhase.IDLE)
        told = await made.want(BAD)
        assert (told.phase, told.reason) == (MigrationPhase.FAILED, "SPEC_REFUSED")


async def test_who_wants_what_was_refused_before_is_not_told_what_became_of_another_wish(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.want(BAD)
        await made.until(MigrationPhase.FAILED)
        await made.want(NEW)
        await made.turn()
        await made.command(MigrationCommand.ABORT, "not today")
        for _ in range(2):
            told = await made.want(BAD)
            assert (told.phase, told.reason) == (MigrationPhase.FAILED, "SPEC_REFUSED")
            assert "refused or rolled back before" in told.message
            await made.turn()


async def test_random_vectors_are_refused_and_not_tried_again_until_somebody_says_refresh(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        before = await made.migration()
        await made.want(BAD)
        after = await made.until(MigrationPhase.FAILED)
        page = await made.indexing.service.list_evaluations(ADMIN, "docs", PageRequest())
    assert after.reason == "QUALITY_GATE_FAILED"
    assert after.serving == before.serving
    assert after.route_epoch == before.route_epoch
    assert [one.verdict for one in page.items] == ["refused"]
    async with changing(tmp_path, before=made) as again:
        found = await again.turn(seconds=10_000.0)
        assert (found.phase, found.candidate) == (MigrationPhase.FAILED, "")
        await again.want(BAD)
        assert (await again.turn()).phase is MigrationPhase.FAILED
        await again.command(MigrationCommand.REFRESH)
        assert (await again.turn()).candidate != ""


@pytest.mark.parametrize("phase", [MigrationPhase.CANARY, MigrationPhase.SOAKING])
async def test_what_was_rolled_back_is_not_tried_again_after_a_restart_until_somebody_says_refresh(
    tmp_path: Path, phase: MigrationPhase
) -> None:
    async with small(tmp_path) as made:
        before = await made.want(NEW, FAST)
        await made.until(phase)
        await made.command(MigrationCommand.ROLLBACK, "worse in the afternoon")
        after = await made.until(MigrationPhase.FAILED)
    assert (after.serving, after.reason) == (before.serving, "ROLLED_BACK")
    async with small(tmp_path, before=made) as again:
        found = await again.turn(seconds=10_000.0)
        assert (found.phase, found.candidate, found.reason) == (
            MigrationPhase.FAILED,
            "",
            "ROLLED_BACK",
        )
        await again.want(NEW, FAST)
        assert (await again.turn()).phase is MigrationPhase.FAILED
        await again.command(MigrationCommand.REFRESH)
        assert (await again.turn()).candidate != ""
        done = await again.until(MigrationPhase.SOAKING)
    assert (done.encoder, done.flips) == (NEW, after.flips + 1)


@pytest.mark.parametrize(
    ("free", "phase", "metric"),
    [
        (("recall", "mrr"), MigrationPhase.FAILED, "ndcg"),
        (("recall", "ndcg", "mrr"), MigrationPhase.CANARY, ""),
    ],
)
async def test_each_metric_is_held_to_its_own_bound(
    tmp_path: Path, free: tuple[str, ...], phase: MigrationPhase, metric: str
) -> None:
    bounds = tuple(MetricBound(one, 1.0) for one in free)
    async with changing(tmp_path) as made:
        await made.want(BAD, replace(QUICK, max_regressions=bounds))
        found = await made.until(MigrationPhase.FAILED, MigrationPhase.CANARY)
    assert (found.phase, found.message.partition(":")[0]) == (phase, metric)


async def test_random_vectors_do_not_pass_while_the_encoders_that_embed_questions_are_away(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.want(BAD)
        while (await made.turn()).percent < 100:
            pass
        for one in made.embedders.embedders.values():
            one.encoder.failure = UnavailableError("the encoder is away")
        turning = asyncio.create_task(made.turn())
        for _ in range(2 * len(PATIENT)):  # of each version, as many pauses
            await made.clock.until_asleep()
            await made.clock.advance(PATIENT[0])
        unsure = await turning
        for one in made.embedders.embedders.values():
            one.encoder.failure = None
        await made.command(MigrationCommand.RESUME)
        after = await made.until(MigrationPhase.FAILED)
    assert (unsure.phase, unsure.verdict) == (
        MigrationPhase.EVALUATING,
        GateVerdict.INCONCLUSIVE,
    )
    assert unsure.reason == "QUESTIONS_NOT_MEASURED"
    assert "24 of 24 questions could not be measured (EMBEDDING_UNAVAILABLE)" in unsure.message
    assert after.reason == "QUALITY_GATE_FAILED"


async def test_a_gate_that_can_ask_nobody_for_a_moment_asks_again_and_holds_nothing(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path) as made:
        await made.want(NEW, FAST)
        while (await made.turn()).percent < 100:
            pass
        for one in made.embedders.embedders.values():
            one.encoder.failure = UnavailableError("too much at once")
        turning = asyncio.create_task(made.turn())
        await made.clock.until_asleep()
        assert (await made.migration()).phase is MigrationPhase.EVALUATING
        for one in made.embedders.embedders.values():
            one.encoder.failure = None
        await made.clock.advance(PATIENT[0])
        found = await turning
        assert (found.held, found.verdict) == (None, GateVerdict.PASS)
        assert {one.questions for one in found.verdicts} == {len(TOPICS)}


@pytest.mark.parametrize(
    ("planted", "reason"), [("empty", "CANDIDATE_EMPTY"), ("partial", "CANDIDATE_PARTIAL")]
)
async def test_a_candidate_that_lacks_documents_in_truth_is_refused(
    tmp_path: Path, planted: str, reason: str
) -> None:
    async with small(tmp_path) as made:
        before = await made.want(NEW, FAST)
        await made.turn()
        await made.plant(planted)
        after = await made.until(MigrationPhase.FAILED)
    assert after.reason == reason
    assert after.route_epoch == before.route_epoch


@pytest.mark.parametrize(
    "failure",
    [UnavailableError("the encoder is away"), EncoderNotFoundError("not everywhere yet")],
    ids=["away", "not known yet"],
)
async def test_a_candidate_whose_encoder_is_away_delays_no_upload(
    tmp_path: Path, failure: RagmeshError
) -> None:
    async with small(tmp_path) as made:
        encoder = made.embedders.embedders[NEW].encoder
        encoder.failure = failure
        await made.want(NEW, FAST)
        await made.turn()
        accepted = await made.upload("late", text_of("walrus"))
        stuck = await made.turn()
        assert (await made.job(accepted)).state is JobState.SUCCEEDED
        assert (await made.search("the walrus room")).hits[0].document_id == "late"
        assert (stuck.phase, stuck.reason) == (MigrationPhase.BACKFILLING, failure.reason)
        encoder.failure = None
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert done.documents == 4


async def test_a_candidate_that_answers_is_given_up_once_its_encoder_is_gone(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        before = await made.want(NEW, FAST)
        await made.until(MigrationPhase.CANARY)
        made.embedders.embedders[NEW].encoder.failure = EncoderNotFoundError(
            "taken out of settings"
        )
        await made.upload("late", text_of("walrus"))
        began = made.clock.monotonic()
        waiting = await made.turn()
        while made.clock.monotonic() < began + 120.0:
            waiting = await made.turn(seconds=5.0)
        assert (waiting.phase, waiting.reason) == (MigrationPhase.PROMOTING, "ENCODER_NOT_FOUND")
        after = await made.until(MigrationPhase.FAILED, seconds=100.0)
    assert after.reason == "CANDIDATE_INCOMPLETE"
    assert [(one.index_version, one.weight) for one in after.shares] == [(before.serving, 100)]


async def test_a_candidate_whose_encoder_was_away_for_long_is_not_refused_when_it_is_not_known_yet(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        encoder = made.embedders.embedders[NEW].encoder
        encoder.failure = UnavailableError("the encoder is away")
        await made.want(NEW, FAST)
        for _ in range(15):
            await made.turn(seconds=400.0)
        encoder.failure = EncoderNotFoundError("not everywhere yet")
        for _ in range(5):
            waiting = await made.turn(seconds=400.0)
        assert (waiting.phase, waiting.failed_documents) == (MigrationPhase.BACKFILLING, 0)
        encoder.failure = None
        await made.until(MigrationPhase.SOAKING, seconds=100.0)


@pytest.mark.parametrize(
    "causes",
    [
        (UnavailableError("away"), EncoderNotFoundError("not everywhere yet")),
        (UnavailableError("away"),),
    ],
    ids=["alternating", "the same"],
)
async def test_a_candidate_that_cannot_be_written_is_tried_ever_less_often_whatever_the_causes(
    tmp_path: Path, causes: Sequence[RagmeshError]
) -> None:
    async with small(tmp_path) as made:
        encoder = Refusing(NEW, causes=causes)
        made.embedders.embedders[NEW] = FakeEmbedder(encoder)
        await made.want(NEW, FAST)
        for _ in range(120):
            await made.turn(seconds=10.0)
        assert len(FEW) * 8 <= encoder.asked <= len(FEW) * 13
        for _ in range(60):  # after some doublings more than a time can hold
            await made.turn(seconds=400.0)
        assert encoder.asked >= len(FEW) * 60


async def test_a_rollback_after_half_an_hour_of_writes_loses_nothing(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        old = await made.want(NEW, replace(FAST, soak_seconds=7_200.0))
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        for minute in range(5):
            await made.upload(f"m{minute}", text_of(f"word{minute}"))
            await made.turn(seconds=360.0)
        await made.upload("amber", text_of("walrus"))
        await made.indexing.service.delete_document(ADMIN, "docs", "basil")
        await made.turn()
        began, really = made.clock.monotonic(), time.monotonic()
        await made.command(MigrationCommand.ROLLBACK, "worse in the afternoon")
        back = await made.until(MigrationPhase.FAILED)
        assert made.clock.monotonic() - began <= 5.0
        assert time.monotonic() - really <= 5.0
        assert (back.serving, back.reason, back.flips) == (old.serving, "ROLLED_BACK", 2)
        assert back.message == "worse in the afternoon"
        for minute in range(5):
            hits = (await made.search(f"the word{minute} room")).hits
            assert hits[0].document_id == f"m{minute}"
        assert (await made.search("the walrus room")).hits[0].document_id == "amber"
        found = {hit.document_id for hit in (await made.search("the basil room")).hits}
        assert "basil" not in found
        assert (await made.turn(seconds=10_000.0)).candidate == ""


async def test_slices_that_did_not_pass_are_told_after_a_restart_too(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        content = golden_lines(
            [(f"Where is the {topic} kept?", topic) for topic in TOPICS], slice="rooms"
        )
        await made.indexing.service.set_golden_questions(ADMIN, "docs", content)
        await made.want(BAD)
        told = await made.until(MigrationPhase.FAILED)
    async with changing(tmp_path, before=made) as again:
        found = await again.migration()
    assert {one.slice for one in found.slice_verdicts} == {"rooms"}
    assert GateVerdict.REFUSED in {one.verdict for one in found.slice_verdicts}
    assert (found.slice_verdicts, found.verdicts) == (told.slice_verdicts, told.verdicts)


@pytest.mark.parametrize(
    ("phase", "command"),
    [
        (MigrationPhase.CANARY, MigrationCommand.ABORT),
        (MigrationPhase.CANARY, MigrationCommand.ROLLBACK),
        (MigrationPhase.SOAKING, MigrationCommand.ROLLBACK),
    ],
)
async def test_what_a_gate_said_of_a_version_that_is_gone_is_told_of_no_other(
    tmp_path: Path, phase: MigrationPhase, command: MigrationCommand
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        judged = await made.until(phase)
        assert judged.verdict is GateVerdict.PASS
        await made.command(command)
        gone = await made.until(MigrationPhase.FAILED, MigrationPhase.ABORTED)
        assert (gone.verdict, gone.verdicts) == (None, ())
        await made.want(OLD)
        idle = await made.until(MigrationPhase.IDLE)
        assert (idle.verdict, idle.verdicts) == (None, ())


async def test_a_verdict_that_an_older_version_left_behind_is_told_no_more(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.CANARY)
        await made.command(MigrationCommand.ROLLBACK)
        await made.until(MigrationPhase.FAILED)
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as file:
        (text,) = file.execute("SELECT state FROM index_migrations").fetchone()
        left = json.loads(text) | {"verdict": "pass"}
        left["verdicts"] = [["recall", 1.0, 1.0, 0.0, 0.0, 3, "pass"]]
        file.execute("UPDATE index_migrations SET state = ?", (json.dumps(left),))
        file.commit()
    async with small(tmp_path, before=made) as again:
        found = await again.migration()
    assert (found.reason, found.verdict, found.verdicts) == ("ROLLED_BACK", None, ())


async def test_a_refusal_is_told_until_something_else_is_wanted(tmp_path: Path) -> None:
    async with changing(tmp_path) as made:
        await made.want(BAD)
        refused = await made.until(MigrationPhase.FAILED)
        assert refused.verdict is GateVerdict.REFUSED
        await made.want(OLD)
        idle = await made.until(MigrationPhase.IDLE)
        assert (idle.verdict, idle.verdicts) == (None, ())


async def test_a_rollback_that_cannot_wait_brings_the_last_documents_after_it(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        old = await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        made.embedders.embedders[OLD].encoder.failure = UnavailableError("away for a moment")
        await made.upload("late", text_of("walrus"))
        await made.turn()
        await made.command(MigrationCommand.ROLLBACK)
        back = await made.until(MigrationPhase.FAILED)
        assert back.serving == old.serving
        made.embedders.embedders[OLD].encoder.failure = None
        await made.turn()
        assert (await made.search("the walrus room")).hits[0].document_id == "late"


class Killed(BaseException):
    """The process ended here; nothing that handles errors may notice."""


async def test_a_process_that_dies_after_every_step_flips_once(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        old = await made.want(NEW, FAST)
    deaths = 0
    for _ in range(60):
        async with small(tmp_path, before=made) as made:
            catalog = made.indexing.ledger.catalog
            committed = catalog.commit_change

            async def commit(change: Change, cause: Any = None, *, do: Any = committed) -> bool:
                done: bool = await do(change, cause)
                raise Killed if done else AssertionError("nothing was committed")

            catalog.commit_change = commit  # type: ignore[method-assign]
            try:
                found = await made.turn(seconds=6.0)
            except* Killed:
                deaths += 1
            else:
                if found.phase is MigrationPhase.IDLE:
                    break
            finally:
                catalog.commit_change = committed  # type: ignore[method-assign]
    assert deaths >= 8
    assert (found.flips, found.serving != old.serving) == (1, True)


async def test_another_wish_in_mid_migration_begins_anew(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        first = await made.want(NEW, FAST)
        trying = await made.until(MigrationPhase.CANARY)
        change = IndexChange(encoder=NEW, language="de")
        await made.indexing.service.want_index(ADMIN, "docs", change)
        anew = await made.turn()
        assert anew.candidate not in ("", trying.candidate)
        assert [one.weight for one in anew.shares] == [100]
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert (done.flips, done.language) == (1, "de")
    assert done.serving != first.serving


async def test_a_wish_for_what_serves_gives_the_candidate_up(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.turn()
        await made.want(OLD)
        after = await made.until(MigrationPhase.IDLE)
    assert (after.candidate, after.flips) == ("", 0)


async def test_there_and_back_again_ends_where_it_began_in_a_third_version(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        first = await made.migration()
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.IDLE, seconds=20.0)
        await made.want(OLD, FAST)
        back = await made.until(MigrationPhase.SOAKING, seconds=10.0)
        found = await made.search("Where is the cedar kept?")
    assert (back.flips, back.encoder) == (2, OLD)
    assert back.serving.startswith("v3-")
    assert back.serving != first.serving
    assert found.hits[0].document_id == "cedar"


async def test_a_wish_for_the_old_one_while_it_is_kept_goes_back_at_once(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        first = await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        await made.want(OLD)
        back = await made.until(MigrationPhase.IDLE)
    assert (back.serving, back.flips, back.reason) == (first.serving, 2, "")


async def test_a_document_that_is_deleted_meanwhile_is_gone_from_both(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.CANARY)
        await made.indexing.service.delete_document(ADMIN, "docs", "amber")
        seen = set()
        for number in range(40):
            found = await made.search("the amber room", affinity=f"user{number}")
            seen.add(found.index_version_uid)
            assert "amber" not in {hit.document_id for hit in found.hits}
        assert len(seen) == 2
        await made.work()
        await made.turn()
        for uid in seen:
            held = await made.retrieval.list_document_digests(INDEXER, uid, PageRequest())
            assert len(held.items) == 2


async def test_a_version_leaves_the_store_no_sooner_than_the_lease_of_its_routes(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        route = await made.indexing.service.resolve_route(ADMIN, "docs")
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.IDLE, seconds=10.0)
        await made.turn(seconds=300.0)
        await made.indexing.reconciler.reconcile()
        assert route.index_version_uid in await made.memory.list_indexes()
        await made.turn(seconds=400.0)
        await made.indexing.reconciler.reconcile()
        assert route.index_version_uid not in await made.memory.list_indexes()
        with pytest.raises(IndexVersionGoneError):
            await made.memory.get_spec(route.index_version_uid)
        assert (await made.search("Where is the cedar kept?")).hits[0].document_id == "cedar"


async def test_without_golden_questions_it_waits_until_somebody_approves(tmp_path: Path) -> None:
    async with small(tmp_path, golden=False) as made:
        await made.want(NEW, FAST)
        for _ in range(4):
            waiting = await made.turn()
        assert waiting.phase is MigrationPhase.EVALUATING
        assert waiting.held is not None
        assert waiting.held.by == "gate"
        assert waiting.reason == "NO_GOLDEN_QUESTIONS"
        await made.command(MigrationCommand.APPROVE, "looked at it")
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert done.verdict is GateVerdict.INCONCLUSIVE


async def test_golden_questions_about_documents_that_are_not_there_decide_nothing(
    tmp_path: Path,
) -> None:
    async with small(tmp_path, golden=False) as made:
        await made.keep_golden(("walrus", "beluga", "narwhal"))
        await made.want(NEW, FAST)
        for _ in range(4):
            waiting = await made.turn()
        assert waiting.verdict is GateVerdict.INCONCLUSIVE
        assert waiting.held is not None
        assert waiting.reason == "NOTHING_FOUND"
        assert "ids that the documents of the collection do not have" in waiting.message


async def test_fewer_golden_questions_than_the_policy_asks_for_hold_it_for_that_reason(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, min_questions=4))
        for _ in range(4):
            waiting = await made.turn()
        assert waiting.held is not None
        assert waiting.held.reason == waiting.message
        assert waiting.reason == "TOO_FEW_QUESTIONS"
        await made.keep_golden((*FEW, FEW[0]))
        await made.command(MigrationCommand.RESUME, "more questions")
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert (done.reason, done.message) == ("", "")


async def test_a_manual_policy_waits_for_approval_although_the_gate_passed(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, approval=Approval.MANUAL))
        await made.until(MigrationPhase.AWAITING_APPROVAL)
        assert (await made.turn(seconds=10_000.0)).phase is MigrationPhase.AWAITING_APPROVAL
        await made.command(MigrationCommand.APPROVE)
        await made.until(MigrationPhase.CANARY)


async def test_a_hold_stops_it_and_a_resume_goes_on(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.CANARY)
        await made.command(MigrationCommand.HOLD, "lunch")
        held = await made.turn(seconds=10_000.0)
        assert held.phase is MigrationPhase.CANARY
        assert held.held is not None
        assert (held.held.by, held.held.reason) == ("ada", "lunch")
        await made.command(MigrationCommand.RESUME)
        await made.command(MigrationCommand.PROMOTE)
        await made.until(MigrationPhase.SOAKING)


@pytest.mark.parametrize("command", list(MigrationCommand))
async def test_a_command_that_the_phase_does_not_allow_is_refused_with_a_sentence(
    tmp_path: Path, command: MigrationCommand
) -> None:
    async with changing(tmp_path, topics=(), golden=False) as made:
        with pytest.raises(MigrationCommandRefusedError, match="while the migration is idle"):
            await made.command(command)


async def test_who_told_a_migration_what_and_why_is_in_the_audit(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW)
        await made.turn()
        await made.command(MigrationCommand.HOLD, "not today")
        query = AuditQuery(action="CommandMigration")
        page = await made.indexing.service.list_audit_entries(ADMIN, query, PageRequest())
        (entry,) = page.items
    assert (entry.actor, entry.reason, entry.resource) == ("ada", "not today", "collections/docs")
    assert dict(entry.details)["command"] == "hold"


async def test_a_dry_run_says_what_would_be_built_and_builds_nothing(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        service = made.indexing.service
        new = await service.estimate_index(ADMIN, "docs", IndexChange(encoder=NEW))
        same = await service.estimate_index(ADMIN, "docs", IndexChange(encoder=OLD))
        with pytest.raises(EncoderNotFoundError):
            await service.estimate_index(ADMIN, "docs", IndexChange(encoder="none"))
        assert (await made.turn()).candidate == ""
    assert (new.documents, new.encoder, new.reason) == (3, NEW, "")
    assert new.index_version.startswith("v2-")
    assert (same.index_version, same.reason) == ("", "NOTHING_TO_BUILD")
    assert (same.tokens, same.dollars) == (None, None)


async def test_a_dry_run_says_about_how_many_tokens_are_embedded_and_what_they_cost(
    tmp_path: Path,
) -> None:
    async with changing(tmp_path, golden=False) as made:
        route = await made.indexing.service.resolve_route(ADMIN, "docs")
        held = await made.retrieval.list_document_digests(
            INDEXER, route.index_version_uid, PageRequest()
        )
        tokens = 0
        for one in held.items:
            chunks = await made.retrieval.read_chunks(
                INDEXER, route.index_version_uid, one.document_uid, revision=one.revision
            )
            tokens += sum(chunk.draft.token_count for chunk in chunks)
        free = await made.estimate(NEW)
        made.embedders.embedders[NEW].encoder.price = 2.0
        paid = await made.estimate(NEW)
    assert tokens > 0
    assert free.tokens is not None
    assert free.tokens == pytest.approx(tokens, rel=0.1)
    assert (free.dollars, paid.tokens) == (None, free.tokens)
    assert paid.dollars == pytest.approx(free.tokens * 2.0 / 1_000_000)


class IndexThatGoesAway(MemoryIndex):
    """Reads no chunks once it is away."""

    is_away = False

    async def read_chunks(self, *args: Any, **kwargs: Any) -> tuple[Chunk, ...]:
        if self.is_away:
            raise UnavailableError("the index is away")
        return await super().read_chunks(*args, **kwargs)


async def test_a_dry_run_tells_what_else_is_known_while_chunks_cannot_be_read(
    tmp_path: Path,
) -> None:
    index = IndexThatGoesAway()
    async with small(tmp_path, index=index) as made:
        index.is_away = True
        found = await made.estimate(NEW)
    assert (found.documents, found.tokens, found.dollars) == (3, None, None)


async def test_what_is_uploaded_during_a_canary_reaches_both_versions(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, canary=(CanaryStep(50, 600.0),)))
        await made.until(MigrationPhase.CANARY)
        await made.upload("late", text_of("walrus"))
        await made.turn()
        await made.turn()
        seen = set()
        for number in range(40):
            found = await made.search("the walrus room", affinity=f"user{number}")
            seen.add(found.index_version_uid)
            assert found.hits[0].document_id == "late"
    assert len(seen) == 2


async def test_uploads_that_never_stop_keep_no_index_from_being_changed(tmp_path: Path) -> None:
    accepted = []
    async with small(tmp_path) as made:
        old = await made.want(NEW, FAST)
        for number in range(40):
            accepted.append(await made.upload(f"u{number}", text_of(f"word{number}")))
            found = await made.turn()
            if found.phase is MigrationPhase.SOAKING:
                break
        assert (found.phase, found.flips) == (MigrationPhase.SOAKING, 1), found
        assert found.serving != old.serving
        await made.turn()
        jobs = [await made.job(one) for one in accepted]
        assert {one.state for one in jobs} == {JobState.SUCCEEDED}
        for number in range(len(accepted)):
            hits = (await made.search(f"the word{number} room")).hits
            assert hits[0].document_id == f"u{number}"


async def test_a_candidate_that_fails_while_it_is_promoted_delays_no_upload(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.CANARY)
        encoder = made.embedders.embedders[NEW].encoder
        encoder.failure = UnavailableError("the encoder is away")
        await made.upload("first", text_of("heron"))
        await made.turn()
        await made.until(MigrationPhase.PROMOTING, seconds=6.0)
        accepted = await made.upload("second", text_of("walrus"))
        assert (await made.turn()).phase is MigrationPhase.PROMOTING
        assert (await made.job(accepted)).state is JobState.SUCCEEDED
        encoder.failure = None
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert (done.documents, done.flips) == (5, 1)


async def test_a_promotion_of_a_slow_candidate_keeps_uploads_for_seconds_only(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, canary=(CanaryStep(50, 600.0),)))
        await made.until(MigrationPhase.CANARY)
        await made.upload("first", text_of("heron"))
        await made.work_live()
        await made.indexing.migrator.look()  # hands it out to the candidate, where it waits
        await made.command(MigrationCommand.PROMOTE)
        accepted = await made.upload("second", text_of("walrus"))
        await made.work_live()
        assert (await made.job(accepted)).state is JobState.QUEUED
        await made.clock.advance(25.0)
        await made.work_live()
        assert (await made.migration()).phase is MigrationPhase.PROMOTING
        assert (await made.job(accepted)).state is JobState.SUCCEEDED
        done = await made.until(MigrationPhase.SOAKING, seconds=10.0)
    assert (done.documents, done.flips) == (5, 1)


async def test_a_removal_that_is_still_owed_refuses_no_candidate(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, canary=(CanaryStep(50, 600.0),)))
        await made.until(MigrationPhase.CANARY)
        await made.indexing.service.delete_document(ADMIN, "docs", "amber")
        await made.command(MigrationCommand.PROMOTE)
        await made.indexing.migrator.look()  # before a worker has removed it from the candidate
        waiting = await made.migration()
        after = await made.until(MigrationPhase.SOAKING)
    assert (waiting.phase, waiting.reason) == (MigrationPhase.PROMOTING, "")
    assert after.flips == 1


async def test_a_dry_run_names_the_version_that_is_made_also_when_earlier_ones_are_gone(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        await made.until(MigrationPhase.IDLE, seconds=60.0)
        await made.turn(700.0)
        await made.turn()
        change = IndexChange(encoder=OLD)
        told = await made.indexing.service.estimate_index(ADMIN, "docs", change)
        await made.want(OLD, FAST)
        building = await made.until(MigrationPhase.BACKFILLING)
    assert told.index_version == building.candidate
    assert told.index_version.startswith("v3-")


async def test_a_document_that_is_deleted_and_comes_back_is_handed_out_once(tmp_path: Path) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, canary=(CanaryStep(50, 5.0),)))
        await made.until(MigrationPhase.CANARY)
        await made.indexing.service.delete_document(ADMIN, "docs", "amber")
        await made.upload("amber", text_of("walrus"))
        await made.work()  # it serves again, before anybody has looked at the migration
        await made.until(MigrationPhase.SOAKING)
        found = await made.search("the walrus room")
    assert found.hits[0].document_id == "amber"


async def test_a_document_that_is_deleted_and_then_fails_holds_no_promotion_up(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, replace(FAST, canary=(CanaryStep(50, 5.0),)))
        await made.until(MigrationPhase.CANARY)
        await made.indexing.service.delete_document(ADMIN, "docs", "amber")
        failing = await made.upload("amber", " ")
        await made.work()
        job = await made.job(failing)
        after = await made.until(MigrationPhase.SOAKING)
        held = await made.retrieval.list_document_digests(
            INDEXER, uid_of(after, after.serving), PageRequest()
        )
    assert job.state is JobState.FAILED
    assert len(held.items) == 2


def test_no_version_leaves_the_store_while_a_gateway_may_send_questions_to_it() -> None:
    assert IndexingSettings().route_lease_seconds >= LEASE_SECONDS
    with pytest.raises(ValidationError):
        IndexingSettings(route_lease_seconds=LEASE_SECONDS - 1)


@pytest.mark.parametrize("document_id", ["late", "amber"])
async def test_a_rollback_that_cannot_wait_brings_what_was_shown_of_documents_that_failed_since(
    tmp_path: Path, document_id: str
) -> None:
    async with small(tmp_path) as made:
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        made.embedders.embedders[OLD].encoder.failure = UnavailableError("away for a moment")
        await made.upload(document_id, text_of("walrus"))
        await made.turn()
        failing = await made.upload(document_id, " ")
        await made.turn()
        await made.command(MigrationCommand.ROLLBACK)
        await made.until(MigrationPhase.FAILED)
        made.embedders.embedders[OLD].encoder.failure = None
        await made.turn()
        found = await made.search("the walrus room")
        assert (await made.job(failing)).state is JobState.FAILED
    assert found.hits[0].document_id == document_id
    assert "walrus" in found.hits[0].text


@dataclass
class LateEncoder(FakeEncoder):
    """Embeds questions once it is let."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    is_let: asyncio.Event = field(default_factory=asyncio.Event)

    async def encode_texts(self, texts: Sequence[str], lane: Lane) -> tuple[EncodedText, ...]:
        self.asked.set()
        await self.is_let.wait()
        return await super().encode_texts(texts, lane)


@asynccontextmanager
async def judging_another(made: Changing) -> AsyncIterator[LateEncoder]:
    """The loop of migrations, which asks a candidate of another collection for ever."""
    late, service = LateEncoder("late"), made.indexing.service
    made.embedders.embedders[late.name] = FakeEmbedder(late)
    await service.create_collection(ADMIN, NewCollection("other", encoder=OLD))
    content = golden_lines([("Where is the amber kept?", "amber")])
    await service.set_golden_questions(ADMIN, "other", content)
    await service.want_index(ADMIN, "other", IndexChange(encoder=late.name, policy=FAST))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.indexing.migrator.run())
        await late.asked.wait()
        yield late
        running.cancel()


async def serves(made: Changing, collection: str, version: str) -> None:
    """Return when questions to the collection are answered from the version alone."""
    routes = made.indexing.service.watch_routes(Machine("gateway"))
    async with aclosing(cast("AsyncGenerator[RouteBatch, None]", routes)) as batches:
        async for batch in batches:
            for route in batch.routes:
                if route.collection == collection and route.shares[0].index_version == version:
                    return


async def test_a_rollback_waits_for_no_gate_of_another_collection(tmp_path: Path) -> None:
    async with small(tmp_path) as made, asyncio.timeout(30):
        old = await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        async with judging_another(made) as late:
            await made.command(MigrationCommand.ROLLBACK, "worse in the afternoon")
            await serves(made, "docs", old.serving)
            other = await made.indexing.service.get_migration(ADMIN, "other")
            assert not late.is_let.is_set()
    assert (other.phase, other.verdict) == (MigrationPhase.EVALUATING, None)


async def test_a_gate_is_left_off_when_its_candidate_is_given_up(tmp_path: Path) -> None:
    async with small(tmp_path) as made, asyncio.timeout(30):
        service = made.indexing.service
        async with judging_another(made) as late:
            late.asked.clear()
            await service.want_index(ADMIN, "other", IndexChange(language="de"))
            await late.asked.wait()  # the candidate in its place is asked; it waits for no other
            late.is_let.set()
            waiting = await service.get_migration(ADMIN, "other")
    assert waiting.candidate.startswith("v3-")


@asynccontextmanager
async def judging(made: Changing) -> AsyncIterator[LateEncoder]:
    """The loop of migrations, at a gate of `docs` that comes to nothing before it is let."""
    late = LateEncoder("late")
    made.embedders.embedders[late.name] = FakeEmbedder(late)
    await made.want(late.name, FAST)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.indexing.migrator.run())
        while not late.asked.is_set():
            await made.clock.advance(1.0)
            await made.work()
        yield late
        running.cancel()


async def versions_of(made: Changing) -> list[str]:
    """Names of the index versions that `docs` has."""
    route = await made.indexing.service.resolve_route(ADMIN, "docs")
    found = await made.indexing.ledger.catalog.find_changing(route.collection_uid)
    assert found is not None
    return [one.version.name for one in found.versions]


async def test_a_verdict_stands_although_an_older_version_left_the_store_meanwhile(
    tmp_path: Path,
) -> None:
    async with small(tmp_path) as made, asyncio.timeout(30):
        await made.want(NEW, FAST)
        await made.until(MigrationPhase.SOAKING, seconds=10.0)
        await made.until(MigrationPhase.IDLE, seconds=30.0)
        async with judging(made) as late:
            assert len(await versions_of(made)) == 3
            await made.clock.advance(LEASE_SECONDS)
            while len(await versions_of(made)) == 3:
                await made.clock.advance(1.0)
            late.is_let.set()
            while (await made.migration()).phase is MigrationPhase.EVALUATING:
                await made.clock.advance(1.0)
        assert await made.verdicts(FOR_MIGRATION) == ["pass", "pass"]


async def test_a_gate_is_left_off_when_its_collection_is_deleted(tmp_path: Path) -> None:
    async with small(tmp_path) as made, asyncio.timeout(30), judging_another(made) as late:
        await made.indexing.service.delete_collection(ADMIN, "other")
        await made.want(NEW, FAST)
        while (await made.migration()).verdict is None:  # one gate is asked at a time
            await made.clock.advance(1.0)
            await made.work()
        assert not late.is_let.is_set()
