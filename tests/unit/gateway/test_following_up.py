"""A question that leans on its history is searched for what it means there."""

from __future__ import annotations

from dataclasses import replace

from ragmesh.core.answers import Answer, AskQuery, Turn, Usage
from ragmesh.core.errors import UnavailableError
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.parsing import parse_ask
from ragmesh.generation.adapters.carry_over import CarryOver
from ragmesh.generation.rewriting import FALLBACK_REWRITER
from ragmesh.generation.service import GenerationService
from ragmesh.testing.gateway import COLLECTION, FakeMesh
from ragmesh.testing.generation import FakeEngine, FakeGenerator, FakeRewriter

FOLLOW_UP = "And for how many days?"
AWAY = UnavailableError("the model is away")


def asked(*history: str, question: str = FOLLOW_UP) -> AskQuery:
    return parse_ask(COLLECTION, question, history=[("user", text) for text in history])


async def ask(mesh: FakeMesh, query: AskQuery) -> Answer:
    return await mesh.service().ask(DEVELOPER, query, request_id="r-1")


def searched(mesh: FakeMesh) -> list[str]:
    return [query.question.text for _, query in mesh.retriever.queries]


class Carrying(FakeGenerator):
    """A generator whose questions are rewritten as in a mesh without a model."""

    rewrite_question = GenerationService((FakeEngine(),), (CarryOver(),)).rewrite_question


async def test_the_same_words_after_other_histories_are_other_searches_and_other_answers(
    mesh: FakeMesh,
) -> None:
    mesh.generator = Carrying()
    for topic in ("Is leave granted for moving house?", "Is leave granted for a wedding?"):
        assert not (await ask(mesh, asked(topic))).cached
    moving, wedding = searched(mesh)
    assert "moving house" in moving
    assert "wedding" not in moving
    assert "wedding" in wedding
    assert "house" not in wedding


async def test_the_engine_is_given_the_words_that_were_asked_and_what_was_said_before(
    mesh: FakeMesh,
) -> None:
    query = asked("Is leave granted for moving house?")
    await ask(mesh, query)
    _, given = mesh.generator.calls[0]
    assert given.question.text == FOLLOW_UP
    assert given.history == query.history
    assert searched(mesh) != [FOLLOW_UP]


async def test_a_question_without_history_asks_nobody_to_rewrite_it(mesh: FakeMesh) -> None:
    answer = await ask(mesh, asked())
    assert mesh.generator.rewrites == []
    assert searched(mesh) == [FOLLOW_UP]
    assert "rewrite" not in dict(answer.timings_ms)


async def test_what_rewriting_cost_is_part_of_what_the_answer_cost(mesh: FakeMesh) -> None:
    mesh.generator.rewriting = Usage(70, 9, 0.25)
    answer = await ask(mesh, asked("Is leave granted for moving house?"))
    assert answer.usage == Usage(70, 9, 0.25)
    assert "rewrite" in dict(answer.timings_ms)


async def test_a_cached_answer_is_not_rewritten_for(mesh: FakeMesh) -> None:
    query = asked("Is leave granted for moving house?")
    await ask(mesh, query)
    assert (await ask(mesh, query)).cached
    assert len(mesh.generator.rewrites) == 1


async def test_another_rewriter_finds_no_answers_of_the_one_before(mesh: FakeMesh) -> None:
    query = asked("Is leave granted for moving house?")
    await ask(mesh, query)
    mesh.generator.description = replace(mesh.generator.description, rewriter="another/1")
    assert not (await ask(mesh, query)).cached


async def test_an_answer_searched_by_a_stand_in_is_marked_and_not_kept(mesh: FakeMesh) -> None:
    class StandIn(FakeGenerator):
        rewrite_question = GenerationService(
            (FakeEngine(),), (FakeRewriter(error=AWAY), CarryOver())
        ).rewrite_question

    mesh.generator = StandIn()
    query = replace(asked(), history=(Turn("user", "Is leave granted for moving house?"),))
    assert (await ask(mesh, query)).degraded == (FALLBACK_REWRITER,)
    assert not (await ask(mesh, query)).cached
