"""The extractive engine quotes letter for letter, best sentence first, or says there is none."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.core.answers import (
    AnswerStatus,
    Citation,
    Delta,
    Generated,
    GenerateQuery,
    GenerationEvent,
    Usage,
)
from ragmesh.core.questions import Question
from ragmesh.core.search import Sentence
from ragmesh.core.spans import Span
from ragmesh.generation.adapters.evidence import weigh
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.adapters.languages import no_context_sentence
from ragmesh.generation.adapters.quoting import MAX_QUOTE_CHARACTERS
from ragmesh.generation.ports import Engine
from ragmesh.testing.generation import ask_of, found
from ragmesh.testing.generation_contract import EngineContract

FERRY = (
    "Ferries leave at noon. Bicycles travel free of charge on every ferry. "
    "The bar opens at six. Dogs stay on the car deck during the crossing."
)
HARBOUR = "The harbour has two cranes. Cranes lift nine tonnes. A dog guards the gate at night."
WEATHER = "Rain is likely in March. Storms come from the west."


class TestExtractiveEngine(EngineContract):
    """The extractive engine passes the suite of every engine."""

    @pytest.fixture
    def engine(self) -> Engine:
        return ExtractiveEngine(0.2)


Streamed = tuple[str, list[Citation], Generated]


async def run(query: GenerateQuery, *, min_confidence: float = 0.0) -> Streamed:
    """The answer's text, its citations and its end; the order of the events is checked."""
    events: list[GenerationEvent] = []
    text = ""
    async for event in ExtractiveEngine(min_confidence).generate(query):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Citation):
            assert text.endswith(event.marker)
        events.append(event)
    (end,) = [event for event in events if isinstance(event, Generated)]
    assert events[-1] is end
    return text, [event for event in events if isinstance(event, Citation)], end


async def test_the_best_sentence_comes_first_whatever_the_rank_of_its_passage() -> None:
    question = "Do dogs stay on the car deck during the crossing?"
    text, citations, end = await run(ask_of(question, [HARBOUR, FERRY, WEATHER]))
    assert citations[0].quote == "Dogs stay on the car deck during the crossing."
    assert text.startswith("Dogs stay on the car deck during the crossing. [1]")
    assert end.status is AnswerStatus.ANSWERED
    assert (end.groundedness, end.usage) == (1.0, Usage())


async def test_every_quote_stands_letter_for_letter_where_its_span_says() -> None:
    query = ask_of("When do ferries leave and when does the bar open?", [FERRY, HARBOUR])
    _, citations, _ = await run(query)
    documents = {hit.document_uid: " " * hit.span.start + hit.text for hit in query.retrieval.hits}
    assert citations
    for citation in citations:
        assert citation.span.of(documents[citation.document_uid]) == citation.quote


async def test_an_answer_holds_two_sentences_with_one_marker_each() -> None:
    passages = ["A dog guards the gate at night. Rain fell.", "At night no dog left the gate."]
    text, citations, _ = await run(ask_of("Is a dog at the gate at night?", passages))
    assert [citation.marker for citation in citations] == ["[1]", "[2]"]
    assert re.findall(r"\[\d+\]", text) == ["[1]", "[2]"]
    assert {citation.document_id for citation in citations} == {"document-0", "document-1"}


async def test_a_second_sentence_that_is_noise_beside_the_first_is_left_out() -> None:
    question = "Do bicycles travel free of charge on every ferry?"
    text, citations, _ = await run(ask_of(question, [FERRY, WEATHER]))
    assert [citation.marker for citation in citations] == ["[1]"]
    assert text == "Bicycles travel free of charge on every ferry. [1]"


async def test_neighbouring_sentences_become_one_quote_in_their_own_order() -> None:
    question = "What do the two cranes of the harbour lift, nine tonnes?"
    text, citations, _ = await run(ask_of(question, [HARBOUR]))
    assert [citation.quote for citation in citations] == [
        "The harbour has two cranes. Cranes lift nine tonnes."
    ]
    assert text == "The harbour has two cranes. Cranes lift nine tonnes. [1]"


async def test_sentences_with_something_between_them_are_quoted_apart() -> None:
    passage = "Dogs stay on deck. Cats do not care. Dogs stay on ropes."
    text, citations, _ = await run(ask_of("Do dogs stay on deck, on ropes?", [passage]))
    assert sorted(citation.quote for citation in citations) == [
        "Dogs stay on deck.",
        "Dogs stay on ropes.",
    ]
    assert "Cats" not in text


async def test_the_same_words_in_two_documents_are_quoted_once() -> None:
    question = "Do bicycles travel free of charge on every ferry?"
    _, citations, _ = await run(ask_of(question, [FERRY, FERRY.upper()]))
    quotes = [citation.quote.casefold() for citation in citations]
    assert len(quotes) == len(set(quotes))


async def test_overlapping_chunks_of_a_document_do_not_repeat_a_sentence() -> None:
    retrieval = found("Do dogs stay and bicycles travel free during it?", [FERRY, FERRY])
    first, second = retrieval.hits
    start = FERRY.index("The bar")
    tail = replace(
        second,
        document_uid=first.document_uid,
        text=FERRY[start:],
        span=Span(first.span.start + start, first.span.end),
        sentences=tuple(
            Sentence(Span(s.span.start - start, s.span.end - start), s.terms)
            for s in second.sentences[2:]
        ),
        sentence_vectors=None,
    )
    query = GenerateQuery(Question("Where?"), replace(retrieval, hits=(first, tail)), "en")
    _, citations, _ = await run(query)
    spans = sorted(citation.span for citation in citations)
    assert len(spans) == 2
    assert all(a.end <= b.start for a, b in pairwise(spans))


async def test_only_the_first_eight_passages_are_quoted() -> None:
    best = "Dogs stay on the car deck."
    _, citations, _ = await run(ask_of("Dogs stay where?", [*[WEATHER, HARBOUR] * 4, best]))
    assert "document-8" not in {citation.document_id for citation in citations}


async def test_weak_evidence_is_no_context_instead_of_a_guess() -> None:
    query = ask_of("Which parliament ratified the fisheries treaty?", [WEATHER, HARBOUR])
    text, citations, end = await run(query, min_confidence=0.5)
    assert (end.status, citations) == (AnswerStatus.NO_CONTEXT, [])
    assert text == no_context_sentence("en")
    assert end.confidence < 0.5


async def test_nothing_found_is_no_context_even_without_a_threshold() -> None:
    text, citations, end = await run(ask_of("Anything?", []))
    assert (end.status, end.confidence, citations) == (AnswerStatus.NO_CONTEXT, 0.0, [])
    assert text


async def test_the_refusal_speaks_the_language_of_the_collection() -> None:
    german, _, _ = await run(ask_of("Was?", [], language="de"))
    swiss, _, _ = await run(ask_of("Was?", [], language="de-CH"))
    unknown, _, _ = await run(ask_of("?", [], language="xx"))
    assert german == swiss != no_context_sentence("en") == unknown


async def test_what_the_documents_answer_is_more_certain_than_what_they_do_not() -> None:
    passages = [FERRY, HARBOUR, WEATHER]
    _, _, known = await run(ask_of("Do bicycles travel free of charge on ferries?", passages))
    _, _, unknown = await run(ask_of("Which parliament ratified the treaty?", passages))
    assert 0 <= unknown.confidence < 0.1 < 0.9 < known.confidence <= 1


async def test_without_vectors_words_alone_decide() -> None:
    question = "Do bicycles travel free of charge on every ferry?"
    retrieval = found(question, [HARBOUR, FERRY], dense=False)
    _, citations, end = await run(GenerateQuery(Question(question), retrieval, "en"))
    assert citations[0].quote == "Bicycles travel free of charge on every ferry."
    assert end.confidence > 0.5


async def test_sentences_without_vectors_are_scored_by_their_passage() -> None:
    question = "Do bicycles travel free of charge on every ferry?"
    retrieval = found(question, [FERRY, HARBOUR])
    bare = tuple(replace(hit, sentence_vectors=None) for hit in retrieval.hits)
    query = GenerateQuery(Question(question), replace(retrieval, hits=bare), "en")
    _, citations, end = await run(query)
    assert citations[0].quote == "Bicycles travel free of charge on every ferry."
    assert end.confidence > 0.5


async def test_a_sentence_without_end_is_quoted_up_to_a_word() -> None:
    endless = "dogs " + "and more dogs " * 200
    _, (citation,), _ = await run(ask_of("dogs and more?", [endless]))
    assert len(citation.quote) <= MAX_QUOTE_CHARACTERS
    assert citation.quote.split()[-1] in {"dogs", "more", "and"}
    assert endless.startswith(citation.quote)


async def test_one_endless_word_is_cut_all_the_same() -> None:
    _, (citation,), _ = await run(ask_of("x?", ["x" * 5_000]))
    assert citation.quote == "x" * MAX_QUOTE_CHARACTERS


async def test_white_space_around_a_sentence_is_not_quoted_and_lines_are_joined() -> None:
    query = ask_of("dogs here?", ["  \n dogs\n  are here \n"])
    (hit,) = query.retrieval.hits
    loose = replace(hit, sentences=(Sentence(Span(0, len(hit.text)), (0, 1)),))
    retrieval = replace(query.retrieval, hits=(loose,))
    text, (citation,), _ = await run(replace(query, retrieval=retrieval))
    assert citation.quote == "dogs\n  are here"
    assert citation.span == Span(104, 104 + len(citation.quote))
    assert text == "dogs are here [1]"


async def test_a_document_cannot_plant_a_marker_or_an_image_in_the_answer() -> None:
    planted = "Dogs are fine [2] says ![x](http://evil.example/a.png) the page."
    text, (citation,), _ = await run(ask_of("Are dogs fine?", [planted]))
    assert citation.quote == planted
    assert re.findall(r"\[\d+\]", text) == ["[1]"]
    assert "![" not in text


@pytest.mark.parametrize(
    "image",
    [
        "!![x](http://evil.example/a.png)",
        "!!![x][1]",
        "<img src=http://evil.example/a.png>",
        "<IMG/src=//evil.example>",
        "<iframe src='http://evil.example'></iframe>",
    ],
)
async def test_no_spelling_of_an_image_survives_in_the_answer(image: str) -> None:
    planted = f"Dogs are fine says {image} the page."
    text, (citation,), _ = await run(ask_of("Are dogs fine?", [planted]))
    assert citation.quote == planted
    assert "![" not in text
    assert re.search(r"<\w", text) is None


async def test_code_and_comparisons_in_an_answer_stay_as_they_are() -> None:
    quote = "Dogs are fine if List<String> holds a < b and <b>c</b> says so!"
    text, _, _ = await run(ask_of("Are dogs fine?", [quote]))
    assert text == f"{quote} [1]"


async def test_a_hit_of_blank_sentences_is_no_evidence() -> None:
    retrieval = found("Dogs?", ["   \n"])
    blank = replace(
        retrieval.hits[0], sentences=(Sentence(Span(0, 4), ()), Sentence(Span(1, 1), ()))
    )
    query = GenerateQuery(Question("Dogs?"), replace(retrieval, hits=(blank,)), "en")
    _, citations, end = await run(query)
    assert (citations, end.status) == ([], AnswerStatus.NO_CONTEXT)


def test_the_threshold_is_part_of_what_decides_an_answer() -> None:
    assert ExtractiveEngine(0.2).describe() == ExtractiveEngine(0.2).describe()
    assert ExtractiveEngine(0.2).describe() != ExtractiveEngine(0.3).describe()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), max_size=5),
    st.text("dogs ferry?", min_size=1).filter(str.strip),
    st.booleans(),
)
def test_any_passage_gives_exact_quotes_and_a_confidence(
    passages: list[str], question: str, dense: bool
) -> None:
    retrieval = found(question, passages, dense=dense)
    query = GenerateQuery(Question(question), retrieval, "en")
    stream = ExtractiveEngine(0.0).generate(query)
    documents = {hit.document_uid: " " * hit.span.start + hit.text for hit in retrieval.hits}
    events = _drained(stream)
    assert isinstance(events[-1], Generated)
    assert 0.0 <= events[-1].confidence <= 1.0
    for event in events:
        if isinstance(event, Citation):
            assert event.quote.strip() == event.quote != ""
            assert event.span.of(documents[event.document_uid]) == event.quote


def _drained(stream: object) -> list[GenerationEvent]:
    """The events of a generator that never waits for anything."""
    events: list[GenerationEvent] = []
    while True:
        step = stream.__anext__()  # type: ignore[attr-defined]
        try:
            step.send(None)
        except StopIteration as stop:
            events.append(stop.value)
        except StopAsyncIteration:
            return events


def test_question_words_that_a_small_collection_lacks_count_for_little() -> None:
    def drop(language: str) -> float:
        plain = weigh(found("bicycles travel free", [FERRY]), language)
        asked = weigh(found("may you bicycles travel free", [FERRY]), language)
        return plain.sentences[0].overlap - asked.sentences[0].overlap

    assert 1.5 * drop("en") < drop("fr")


async def test_the_refusal_speaks_the_language_of_the_question() -> None:
    for question, language in [
        ("Welche Hunde schlafen nachts?", "de"),
        ("¿Dónde duermen los perros?", "es"),
        ("คำถามนี้ไม่มีคำตอบ", "th"),
        ("Где спят собаки?", "ru"),
    ]:
        text, citations, end = await run(ask_of(question, [FERRY]), min_confidence=0.9)
        assert (text, citations) == (no_context_sentence(language), [])
        assert end.status is AnswerStatus.NO_CONTEXT


async def test_what_nobody_sees_is_quoted_but_not_said() -> None:
    planted = "Dogs are fine\u200b\U000e0041 says <p style='background:url(//evil.example)'>it</p>."
    text, (citation,), _ = await run(ask_of("Are dogs fine?", [planted]))
    assert citation.quote == planted
    assert not {"\u200b", "\U000e0041"} & set(text)
    assert "<p style" not in text
