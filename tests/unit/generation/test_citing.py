"""A citation quotes what was meant, and a sentence is grounded only in what it cites."""

from __future__ import annotations

import pytest

from ragmesh.generation.adapters.citing import Citer
from ragmesh.testing.generation import found

FERRY = "Ferries leave at noon. The bar opens at six. Dogs stay on the car deck in summer."
GERMAN = "Der Urlaub beträgt 28 Tage im Jahr. Die Kantine ist bis 14 Uhr geöffnet."
HARBOUR = "The harbour has two cranes. A dog guards the gate at night."
HITS = found("?", [FERRY, GERMAN, HARBOUR]).hits


def groundedness(answer: str, *, language: str = "en") -> float:
    """Of an answer whose markers are the numbers of the sources."""
    citer = Citer(HITS, language)
    for number, part in enumerate(answer.replace("]", "[").split("[")):
        if number % 2:
            citer.cite(int(part))
        else:
            citer.say(part)
    return citer.groundedness()


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("The bar opens at six", "The bar opens at six."),
        ("Ferries leave at noon. In summer a dog stays on deck", "Dogs stay on the car deck in su"),
        ("Ferries leave at noon.", "Ferries leave at noon."),
        ("", "Ferries leave at noon."),
    ],
)
def test_the_quote_is_the_sentence_that_says_most_of_what_was_said(said: str, quote: str) -> None:
    citer = Citer(HITS, "en")
    citer.say(said)
    cited = citer.cite(1)
    assert cited is not None
    assert cited[1] is not None
    assert cited[1].quote.startswith(quote)


def test_of_a_long_answer_the_end_decides_what_a_marker_quotes() -> None:
    citer = Citer(HITS, "en")
    citer.say("Ferries leave at noon. " * 200)
    for sentence in ("Dogs stay on the car deck", "The bar opens at six", "Ferries leave at noon"):
        citer.say(sentence)
        cited = citer.cite(1)
        assert cited is not None
        assert cited[1] is not None
        assert cited[1].quote.startswith(sentence)
        citer.say(". ")


def test_a_source_that_was_not_given_is_not_cited() -> None:
    citer = Citer(HITS, "en")
    assert [citer.cite(number) for number in (0, 4, -1)] == [None, None, None]


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("The bar opens at six [1].", 1.0),
        ("The bar opens at six. [1]", 1.0),
        ("- The bar opens at six [1]\n- Ferries leave at noon [1]", 1.0),
        ("1. The bar opens at six [1].\n2. Ferries leave at noon [1].", 1.0),
        ("The bar opens at six.", 0.0),
        ("The bar opens at six [3].", 0.0),
        ("The bar opens at 6 [1].", 0.0),
        ("Ferries leave at noon [1]. Whales sing beautiful songs [1].", 0.5),
        ("", 0.0),
        ("[1]", 0.0),
    ],
)
def test_a_sentence_counts_when_what_it_cites_holds_its_words_and_numbers(
    answer: str, share: float
) -> None:
    assert groundedness(answer) == share


def test_in_another_language_than_the_source_numbers_decide() -> None:
    assert groundedness("There are 28 days of holidays in the year [2].") == 1.0
    assert groundedness("There are 30 days of holidays in the year [2].") == 0.0
