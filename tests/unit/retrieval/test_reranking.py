"""A reranker has the last word as long as it answers; without it the fused order stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from ragmesh.core.errors import ExhaustedError, RagmeshError, UnavailableError
from ragmesh.retrieval.fusion import FusedCandidate
from ragmesh.retrieval.ports import Candidate, StoredChunk
from ragmesh.retrieval.reranking import (
    RERANK_SKIPPED,
    RerankEndpoint,
    Reranking,
    RerankLimits,
)
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.retrieval import chunk

TEXTS = ("first", "second", "third")


@dataclass
class ScriptedReranker:
    """A Reranker that says what it is told."""

    scores: tuple[float, ...] = (0.1, 0.9, 0.5)
    failure: RagmeshError | None = None
    hangs: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def rerank(self, query: str, texts: Sequence[str]) -> tuple[float, ...]:
        self.asked.append((query, tuple(texts)))
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()
        return self.scores


def shelf() -> list[tuple[FusedCandidate, StoredChunk]]:
    return [
        (FusedCandidate(Candidate(place, text, 0, 0.0), 1 / (1 + place), ()), stored(place, text))
        for place, text in enumerate(TEXTS)
    ]


def stored(place: int, text: str) -> StoredChunk:
    draft = chunk(text).draft
    return StoredChunk(
        place=place,
        chunk_id=text,
        document_uid=text,
        document_id=text,
        revision=1,
        ordinal=0,
        title="Title",
        text=text,
        span=draft.span,
        page=None,
        headings=("Heading",),
        metadata="{}",
        token_count=1,
        sentences=(),
        sentence_vectors=None,
    )


def reranking(reranker: ScriptedReranker, clock: ManualClock, seconds: float = 5.0) -> Reranking:
    return Reranking(reranker, clock, RerankLimits(seconds=seconds))


async def test_the_reranker_orders_and_scores_what_it_sees_under_title_and_headings() -> None:
    reranker = ScriptedReranker()
    ordered, marks = await reranking(reranker, ManualClock()).order("q", shelf())
    assert [chunk.text for _, chunk in ordered] == ["second", "third", "first"]
    assert [one.score for one, _ in ordered] == [0.9, 0.5, 0.1]
    assert [one.scores[-1].rank for one, _ in ordered] == [1, 2, 3]
    assert {one.scores[-1].ranking for one, _ in ordered} == {"rerank"}
    assert marks == ()
    assert reranker.asked == [("q", tuple(f"Title\nHeading\n{text}" for text in TEXTS))]


async def test_logits_become_scores_between_zero_and_one_in_the_same_order() -> None:
    reranker = ScriptedReranker(scores=(-900.0, 7.5, 0.5))
    ordered, _ = await reranking(reranker, ManualClock()).order("q", shelf())
    assert [chunk.text for _, chunk in ordered] == ["second", "third", "first"]
    assert all(0 <= one.score <= 1 for one, _ in ordered)


async def test_equal_scores_keep_the_fused_order() -> None:
    ordered, _ = await reranking(ScriptedReranker((0.5, 0.5, 0.5)), ManualClock()).order(
        "q", shelf()
    )
    assert [chunk.text for _, chunk in ordered] == list(TEXTS)


@pytest.mark.parametrize(
    "reranker",
    [
        pytest.param(ScriptedReranker(failure=UnavailableError("away")), id="away"),
        pytest.param(ScriptedReranker(failure=ExhaustedError("busy")), id="busy"),
        pytest.param(ScriptedReranker(hangs=True), id="too slow"),
    ],
)
async def test_without_an_answer_the_fused_order_stands_and_says_so(
    reranker: ScriptedReranker,
) -> None:
    ordered, marks = await reranking(reranker, ManualClock(), 0.01).order("q", shelf())
    assert ordered == shelf()
    assert marks == (RERANK_SKIPPED,)


async def test_a_reranker_that_failed_is_left_alone_for_longer_each_time() -> None:
    clock = ManualClock()
    reranker = ScriptedReranker(failure=UnavailableError("away"))
    stage = reranking(reranker, clock)
    moments = []
    for _ in range(60):
        before = len(reranker.asked)
        assert (await stage.order("q", shelf()))[1] == (RERANK_SKIPPED,)
        if len(reranker.asked) > before:
            moments.append(clock.monotonic())
        await clock.advance(1)
    assert moments == [0, 1, 3, 7, 15, 31]
    await clock.advance(30)
    reranker.failure = None
    assert (await stage.order("q", shelf()))[1] == ()
    assert (await stage.order("q", shelf()))[1] == ()


async def test_a_pause_that_the_reranker_asks_for_is_kept() -> None:
    clock = ManualClock()
    reranker = ScriptedReranker(failure=ExhaustedError("busy", retry_after_seconds=9))
    stage = reranking(reranker, clock)
    for seconds, asked in ((0, 1), (8, 1), (2, 2)):
        await clock.advance(seconds)
        await stage.order("q", shelf())
        assert len(reranker.asked) == asked


async def test_nothing_found_asks_nobody() -> None:
    reranker = ScriptedReranker()
    assert await reranking(reranker, ManualClock()).order("q", []) == ([], ())
    assert reranker.asked == []


def test_the_key_of_an_endpoint_is_never_shown() -> None:
    assert "secret" not in repr(replace(RerankEndpoint("http://x"), api_key="secret"))
