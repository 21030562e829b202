"""Equal keys mean equal answers: what may differ, and everything that may not."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.answer_keys import (
    EXCLUDED_FIELDS,
    answer_key,
    canonical_query,
    groups_digest,
    hits_key,
)
from ragmesh.core.answers import AskQuery, CacheMode, EngineDescription, Turn
from ragmesh.core.callers import ADMIN, Caller, Machine, Principal
from ragmesh.core.documents import Route
from ragmesh.core.filters import And, Eq, Exists, In, Not, Or
from ragmesh.core.questions import Question
from ragmesh.core.search import RetrieveQuery, SearchMode
from ragmesh.testing.near_misses import NEAR_MISSES

ALICE = Principal("tenant-1", "alice", frozenset({"crew", "office"}))
ROUTE = Route(
    tenant_uid="tenant-1",
    collection_uid="collection-1",
    collection="handbook",
    language="en",
    encoder="mini",
    index_version_uid="version-1",
    index_version="v1-00000001",
    epoch=1,
)
ENGINE = EngineDescription("extractive", "extractive", "1")


def key(
    text: str = "What is it?",
    *,
    caller: Caller = ALICE,
    route: Route = ROUTE,
    engine: EngineDescription = ENGINE,
    **changes: Any,
) -> str:
    query = AskQuery(collection="handbook", question=Question.parse(text), **changes)
    return answer_key(caller, query, route, engine)


@pytest.mark.parametrize(("one", "other"), NEAR_MISSES)
def test_questions_that_only_look_alike_have_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)
    assert key(one + "?") != key(other + "?")


def test_there_are_at_least_forty_near_misses() -> None:
    assert len(set(NEAR_MISSES)) >= 40


@pytest.mark.parametrize(
    "variant",
    [
        "Is Café open",
        "Is Café open?",
        "  Is Café open ?",
        "Is Café open?!",
        "Is Café open ...",
        "Is\tCafé \n open?",
        "Is Café\u00a0open?",
        unicodedata.normalize("NFD", "Is Café open?"),
    ],
)
def test_form_without_meaning_does_not_change_the_key(variant: str) -> None:
    assert key(variant) == key("Is Café open?")


def test_marks_alone_are_questions_of_their_own() -> None:
    assert key("?") != key("!")


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_two_questions_share_a_key_only_when_their_canonical_forms_are_equal(
    one: str, other: str
) -> None:
    first, second = Question(one), Question(other)
    query = AskQuery(collection="handbook", question=first)
    keys = {
        answer_key(ALICE, replace(query, question=question), ROUTE, ENGINE)
        for question in (first, second)
    }
    alike = _reduced(one) == _reduced(other)
    assert (len(keys) == 1) == (alike if _reduced(one) else one == other)


def _reduced(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split())).rstrip("?.! ")


def test_the_same_words_after_different_histories_are_different_questions() -> None:
    ferries = (Turn("user", "Tell me of ferries."), Turn("assistant", "They float."))
    trains = (Turn("user", "Tell me of trains."), Turn("assistant", "They roll."))
    keys = {key("And when?", history=history) for history in ((), ferries, trains)}
    assert len(keys) == 3


def test_who_said_something_and_in_what_order_is_part_of_the_history() -> None:
    said = Turn("user", "No."), Turn("assistant", "No.")
    assert key(history=said) != key(history=said[::-1])
    assert key(history=(Turn("user", "a"), Turn("user", "b"))) != key(history=(Turn("user", "ab"),))


@pytest.mark.parametrize(
    "stranger",
    [
        Principal("tenant-1", "alice", frozenset({"crew"})),
        Principal("tenant-1", "alice", frozenset({"crew", "office", "board"})),
        Principal("tenant-1", "alice", frozenset({"crew,office"})),
        Principal("tenant-1", "alice", frozenset({"crew", "office"}), frozenset({ADMIN})),
        Principal("tenant-2", "alice", frozenset({"crew", "office"})),
        Principal("tenant-1", "alice"),
        Machine("gateway"),
    ],
)
def test_who_sees_other_documents_has_another_key(stranger: Caller) -> None:
    assert key(caller=stranger) != key()
    assert groups_digest(stranger) != groups_digest(ALICE)


def test_people_who_see_the_same_documents_share_answers() -> None:
    groups, roles = frozenset({"office", "crew"}), frozenset({"reader"})
    bob = Principal("tenant-1", "bob", groups, roles, key_id="3f2a")
    assert key(caller=bob) == key()


@pytest.mark.parametrize("field", ["tenant_uid", "collection_uid", "index_version_uid", "language"])
def test_every_part_of_the_route_that_decides_an_answer_is_in_the_key(field: str) -> None:
    changed: dict[str, Any] = {field: "another"}
    assert key(route=replace(ROUTE, **changed)) != key()


def test_a_weight_that_moved_or_a_new_name_does_not_lose_answers() -> None:
    assert key(route=replace(ROUTE, epoch=2, collection="renamed")) == key()


@pytest.mark.parametrize("field", ["engine", "model", "prompt_version"])
def test_another_engine_model_or_prompt_has_another_key(field: str) -> None:
    changed: dict[str, Any] = {field: "another"}
    assert key(engine=replace(ENGINE, **changed)) != key()


def test_every_field_of_a_question_is_in_its_key_unless_it_is_excluded() -> None:
    query = AskQuery(collection="handbook", question=Question("x"))
    names = {field.name for field in fields(AskQuery)}
    assert set(canonical_query(query)) == names - set(EXCLUDED_FIELDS)
    assert set(EXCLUDED_FIELDS) <= names
    assert all(EXCLUDED_FIELDS.values())


def test_a_new_field_of_a_question_is_in_the_key_without_anyone_thinking_of_it() -> None:
    @dataclass(frozen=True, slots=True)
    class TomorrowsQuery(AskQuery):
        style: str = "brief"

    brief = TomorrowsQuery(collection="handbook", question=Question("x"))
    long = replace(brief, style="long")
    assert answer_key(ALICE, brief, ROUTE, ENGINE) != answer_key(ALICE, long, ROUTE, ENGINE)


def test_what_the_cache_may_do_is_no_part_of_the_question() -> None:
    assert key(cache=CacheMode.REFRESH) == key()


def test_filters_and_limits_are_part_of_the_question() -> None:
    filters = [
        None,
        Eq("year", 1),
        Eq("year", True),
        Eq("year", "1"),
        Eq("years", 1),
        In("year", (1,)),
        Exists("year"),
        Not(Exists("year")),
        And((Eq("year", 1),)),
        Or((Eq("year", 1),)),
        And((Eq("year", 1), Exists("year"))),
    ]
    assert len({key(filter=chosen) for chosen in filters}) == len(filters)
    assert key(limit=8) != key(limit=9)


def test_a_value_without_a_canonical_form_is_refused_rather_than_ignored() -> None:
    @dataclass(frozen=True, slots=True)
    class OpaqueQuery(AskQuery):
        extra: object = None

    with pytest.raises(TypeError, match="canonical form"):
        canonical_query(OpaqueQuery(collection="c", question=Question("x"), extra=object()))


SEARCH = RetrieveQuery("version-1", "collection-1", Question("cooling water"), limit=10)


@pytest.mark.parametrize(
    "change",
    [
        {"question": Question("cooling water?")},
        {"question": Question("Cooling water")},
        {"index_version_uid": "version-2"},
        {"limit": 11},
        {"mode": SearchMode.KEYWORD},
        {"filter": Eq("year", 1)},
        {"score_threshold": 0.0},
        {"explain": True},
        {"context_tokens": 100},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_is_said_to_a_search_is_in_the_key_of_its_hits(
    change: dict[str, Any],
) -> None:
    changed = replace(SEARCH, **change)
    assert hits_key(ALICE, changed, "tenant-1") != hits_key(ALICE, SEARCH, "tenant-1")


def test_another_reranker_gives_other_answers_and_hits() -> None:
    asked = AskQuery(collection="handbook", question=Question("x"))
    plain = answer_key(ALICE, asked, ROUTE, ENGINE)
    assert answer_key(ALICE, asked, ROUTE, ENGINE, reranker="a") != plain
    assert hits_key(ALICE, SEARCH, "tenant-1", reranker="a") != hits_key(ALICE, SEARCH, "tenant-1")


def test_hits_are_shared_by_those_who_see_the_same_documents() -> None:
    bob = Principal("tenant-1", "bob", frozenset({"office", "crew"}))
    eve = Principal("tenant-1", "eve", frozenset({"crew"}))
    assert hits_key(bob, SEARCH, "tenant-1") == hits_key(ALICE, SEARCH, "tenant-1")
    assert hits_key(eve, SEARCH, "tenant-1") != hits_key(ALICE, SEARCH, "tenant-1")
    assert hits_key(ALICE, SEARCH, "tenant-2") != hits_key(ALICE, SEARCH, "tenant-1")
