"""One rewriter makes a question stand for itself; another stands in while it is away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.answers import RewriteQuery, Rewritten, Usage
from ragmesh.core.callers import Principal
from ragmesh.core.errors import InternalError, UnavailableError
from ragmesh.generation.adapters.carry_over import CarryOver
from ragmesh.generation.rewriting import FALLBACK_REWRITER
from ragmesh.generation.service import GenerationService
from ragmesh.testing.generation import FakeEngine, FakeRewriter
from ragmesh.testing.generation_contract import RewriterContract, follow_up

CALLER = Principal("tenant", "alice")
QUERY = follow_up("Why do dogs bark?")
AWAY = UnavailableError("the model is away")


class TestCarryOver(RewriterContract):
    @pytest.fixture
    def rewriter(self) -> CarryOver:
        return CarryOver()


class TestFakeRewriter(RewriterContract):
    @pytest.fixture
    def rewriter(self) -> FakeRewriter:
        return FakeRewriter()


async def rewritten(*rewriters: FakeRewriter | CarryOver, query: RewriteQuery = QUERY) -> Rewritten:
    return await GenerationService((FakeEngine(),), rewriters).rewrite_question(CALLER, query)


async def test_what_the_preferred_rewriter_says_and_costs_is_passed_on() -> None:
    spare = FakeRewriter()
    said = await rewritten(FakeRewriter(usage=Usage(30, 8, 0.1)), spare)
    assert said.usage == Usage(30, 8, 0.1)
    assert said.degraded == ()
    assert spare.queries == []


async def test_another_rewriter_stands_in_while_the_first_is_away() -> None:
    said = await rewritten(FakeRewriter(error=AWAY), CarryOver())
    assert "dogs" in said.question.text
    assert said.degraded == (FALLBACK_REWRITER,)


async def test_a_rewriter_with_a_defect_is_not_replaced_in_silence() -> None:
    with pytest.raises(InternalError):
        await rewritten(FakeRewriter(error=InternalError("a defect")), CarryOver())


async def test_with_every_rewriter_away_the_caller_is_told() -> None:
    with pytest.raises(UnavailableError):
        await rewritten(FakeRewriter(error=AWAY), FakeRewriter(error=AWAY))


async def test_a_question_without_history_reaches_no_rewriter() -> None:
    rewriter = FakeRewriter(error=AWAY)
    alone = replace(QUERY, history=())
    assert await rewritten(rewriter, query=alone) == Rewritten(QUERY.question)
    assert rewriter.queries == []


async def test_the_engine_is_described_with_the_rewriter_before_it() -> None:
    service = GenerationService((FakeEngine(), FakeEngine()), (FakeRewriter(name="llm/3"),))
    assert (await service.describe_engine()).rewriter == "llm/3"
    assert {engine.rewriter for engine in await service.list_models()} == {"llm/3"}
    assert (await GenerationService((FakeEngine(),)).describe_engine()).rewriter == ""
