"""A question's language is that of the collection unless it is plainly another."""

from __future__ import annotations

import pytest

from ragmesh.generation.adapters.languages import (
    NO_CONTEXT_SENTENCES,
    language_of,
    no_context_sentence,
)

QUESTIONS = [
    ("How many days of leave are there?", "en"),
    ("Wie viele Tage Urlaub gibt es?", "de"),
    ("¿Cuántos días de vacaciones hay?", "es"),
    ("Combien de jours de congé y a-t-il ?", "fr"),
    ("Quanti giorni di ferie ci sono?", "it"),
    ("Quantos dias de férias há por ano?", "pt"),
    ("Hoeveel vakantiedagen zijn er?", "nl"),
    ("Hur många semesterdagar är det?", "sv"),
    ("Ile dni urlopu jest w roku?", "pl"),
    ("Yılda kaç gün izin ve tatil var?", "tr"),
    ("Сколько дней отпуска?", "ru"),
    ("Скільки днів відпустки є на рік?", "uk"),
    ("有多少天假期？", "zh"),
    ("休暇は何日ありますか？", "ja"),
    ("휴가는 며칠입니까?", "ko"),
    ("มีวันหยุดกี่วัน", "th"),
    ("كم عدد أيام الإجازة؟", "ar"),
    ("Πόσες ημέρες άδειας υπάρχουν;", "el"),
    ("कितने दिन की छुट्टी है?", "hi"),
]


@pytest.mark.parametrize(("question", "language"), QUESTIONS)
def test_a_question_tells_its_language_whatever_the_collection_speaks(
    question: str, language: str
) -> None:
    assert language_of(question, "en") == language
    assert language_of(question, "de-CH") == language


@pytest.mark.parametrize("question", ["Kubernetes?", "C++ 17", "42?", "", "Kant Hegel Fichte"])
def test_a_question_that_does_not_tell_is_in_the_language_of_the_collection(question: str) -> None:
    assert language_of(question, "de-CH") == "de"
    assert language_of(question, "xx") == "xx"


def test_a_script_of_several_languages_is_the_collections_own() -> None:
    assert language_of("چند روز مرخصی است؟", "fa") == "fa"
    assert language_of("Колко дни отпуск има?", "bg") == "bg"


def test_every_language_that_is_told_can_be_answered_in() -> None:
    assert {language for _, language in QUESTIONS} <= NO_CONTEXT_SENTENCES.keys()
    assert no_context_sentence("xx") == no_context_sentence("en-GB")
