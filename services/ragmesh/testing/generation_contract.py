"""What generation promises, as tests: give the fixture `generator`, or `engine` for one engine,
`rewriter` for one rewriter.

The subject answers from evidence in English by quoting it; what it says besides is its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

import pytest

from ragmesh.core.answers import (
    AnswerStatus,
    Citation,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    Turn,
)
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.questions import Question
from ragmesh.gateway.ports import Generator
from ragmesh.generation.ports import Engine, Rewriter
from ragmesh.testing.generation import ask_of, found

CALLER = Principal("tenant", "alice", groups=frozenset({"sales"}))
DOGS = "Dogs bark at strangers."
CATS = "Cats purr when they are content."
ANSWERABLE = ask_of("Do dogs bark at strangers?", [DOGS, CATS])


@dataclass(frozen=True, slots=True)
class Said:
    """The whole of one answer."""

    text: str
    citations: tuple[Citation, ...]
    end: Generated


async def said(events: AsyncIterator[GenerationEvent]) -> Said:
    """Read an answer to its end, and hold it to the grammar of every stream."""
    text = ""
    citations: list[Citation] = []
    end: Generated | None = None
    async with aclosing(closable(events)) as stream:
        async for event in stream:
            assert end is None, "an event came after the end"
            match event:
                case Delta():
                    assert event.text, "a delta says something"
                    text += event.text
                case Citation():
                    assert event.marker in text, "a marker comes before its citation"
                    citations.append(event)
                case Generated():
                    end = event
    assert end is not None, "a stream says how it ended"
    assert 0 <= end.confidence <= 1
    assert 0 <= end.groundedness <= 1
    return Said(text, tuple(citations), end)


def closable(events: AsyncIterator[GenerationEvent]) -> AsyncGenerator[GenerationEvent, None]:
    """Every implementation is a generator that can be closed; the ports promise an iterator."""
    return cast("AsyncGenerator[GenerationEvent, None]", events)


class GeneratorContract:
    """Every generator keeps these promises."""

    async def test_an_answer_quotes_its_evidence_letter_for_letter(
        self, generator: Generator
    ) -> None:
        answer = await said(generator.generate(CALLER, ANSWERABLE))
        assert answer.end.status is AnswerStatus.ANSWERED
        assert answer.citations
        hits = {hit.chunk_id: hit for hit in ANSWERABLE.retrieval.hits}
        for citation in answer.citations:
            hit = hits[citation.chunk_id]
            assert citation.span.shifted(-hit.span.start).of(hit.text) == citation.quote
            assert citation.document_uid == hit.document_uid
            assert citation.document_id == hit.document_id
            assert citation.revision == hit.revision
            assert (citation.title, citation.headings) == (hit.title, hit.headings)
            assert citation.page == hit.page
        assert answer.citations[0].quote == DOGS

    async def test_without_hits_there_is_a_sentence_and_no_context(
        self, generator: Generator
    ) -> None:
        answer = await said(generator.generate(CALLER, ask_of("Do dogs bark?", [])))
        assert answer.text
        assert answer.citations == ()
        assert answer.end.status is AnswerStatus.NO_CONTEXT

    async def test_evidence_without_vectors_is_evidence(self, generator: Generator) -> None:
        question = ANSWERABLE.question
        by_words = GenerateQuery(question, found(question.text, [DOGS], dense=False), "en")
        answer = await said(generator.generate(CALLER, by_words))
        assert [citation.quote for citation in answer.citations] == [DOGS]

    async def test_what_was_said_before_may_be_told(self, generator: Generator) -> None:
        history = (Turn("user", "Tell me about dogs."), Turn("assistant", "They bark."))
        answer = await said(generator.generate(CALLER, replace(ANSWERABLE, history=history)))
        assert answer.end.status is AnswerStatus.ANSWERED

    async def test_a_question_without_history_stays_as_it_is(self, generator: Generator) -> None:
        alone = RewriteQuery(ANSWERABLE.question, (), "en")
        rewritten = await generator.rewrite_question(CALLER, alone)
        assert rewritten == Rewritten(ANSWERABLE.question)

    async def test_the_model_that_answers_is_the_one_described(self, generator: Generator) -> None:
        described = await generator.describe_engine()
        assert described.engine
        answer = await said(generator.generate(CALLER, ANSWERABLE))
        assert answer.end.model == described.model
        assert await generator.describe_engine() == described

    async def test_two_answers_at_once_do_not_mix(self, generator: Generator) -> None:
        about_cats = ask_of("When do cats purr?", [CATS])
        one = closable(generator.generate(CALLER, ANSWERABLE))
        other = closable(generator.generate(CALLER, about_cats))
        async with aclosing(one), aclosing(other):
            first, second = await anext(one), await anext(other)
        assert isinstance(first, Delta)
        assert isinstance(second, Delta)
        assert "bark" in first.text
        assert "purr" in second.text

    @pytest.mark.parametrize("events", [0, 1])
    async def test_who_leaves_an_answer_may_ask_again(
        self, generator: Generator, events: int
    ) -> None:
        left = closable(generator.generate(CALLER, ANSWERABLE))
        for _ in range(events):
            await anext(left)
        await left.aclose()
        assert [event async for event in left] == []
        answer = await said(generator.generate(CALLER, ANSWERABLE))
        assert answer.end.status is AnswerStatus.ANSWERED


class EngineContract(GeneratorContract):
    """Every engine keeps them by itself, before the service takes care of any."""

    @pytest.fixture
    def generator(self, engine: Engine) -> Generator:
        """The engine as its own only service."""
        return _Alone(engine)


@dataclass(frozen=True, slots=True)
class _Alone:
    engine: Engine

    def generate(self, caller: Caller, query: GenerateQuery) -> AsyncIterator[GenerationEvent]:
        return self.engine.generate(query)

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        return Rewritten(query.question)

    async def describe_engine(self) -> EngineDescription:
        return self.engine.describe()


class RewriterContract:
    """Every rewriter keeps these promises, whatever words it finds; give the fixture `rewriter`."""

    async def test_a_follow_up_is_searched_with_what_it_is_about(self, rewriter: Rewriter) -> None:
        dogs = await rewriter.rewrite(follow_up("Why do dogs bark?"))
        cats = await rewriter.rewrite(follow_up("When do cats purr?"))
        assert "dogs" in dogs.question.text
        assert "cats" in cats.question.text
        assert "dogs" not in cats.question.text

    async def test_what_the_mesh_answered_may_stand_between(self, rewriter: Rewriter) -> None:
        query = follow_up("Why do dogs bark?")
        answered = replace(query, history=(*query.history, Turn("assistant", "To warn. [1]")))
        assert "dogs" in (await rewriter.rewrite(answered)).question.text

    async def test_it_says_which_version_of_it_rewrites(self, rewriter: Rewriter) -> None:
        assert rewriter.describe() == rewriter.describe() != ""


def follow_up(before: str, question: str = "Is it the same in winter?") -> RewriteQuery:
    """A question that leans on another one."""
    return RewriteQuery(Question.parse(question), (Turn("user", before),), "en")
