"""The numbers behind an extractive answer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import Stemmer

from ragmesh.core.errors import FingerprintMismatchError
from ragmesh.core.search import QueryTerm, Retrieval
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.generation.adapters.evidence import Calibration, weigh
from ragmesh.generation.adapters.words import FUNCTION_WORDS
from ragmesh.testing.generation import found

PASSAGE = "Dogs bark. Cats sleep. Mice run."


def _two_dimensional(retrieval: Retrieval, rows: bytes, vector: Vector) -> Retrieval:
    (hit,) = retrieval.hits
    bare = tuple(replace(sentence, terms=()) for sentence in hit.sentences)
    stored = replace(hit, sentences=bare, sentence_vectors=SentenceVectors(2, rows))
    return replace(retrieval, hits=(stored,), query_vector=vector)


def test_a_sentence_has_the_cosine_of_its_row_and_none_without_tokens() -> None:
    rows = bytes([127, 0, 0, 0, 90, (-90) & 0xFF])
    retrieval = _two_dimensional(found("x", [PASSAGE]), rows, Vector.from_floats([0.6, 0.8]))
    cosines = {scored.position: scored.cosine for scored in weigh(retrieval, "en").sentences}
    assert cosines[0] == pytest.approx(0.6, abs=1e-6)
    assert cosines[1] == 0.0
    assert cosines[2] == pytest.approx((0.6 - 0.8) / math.sqrt(2), abs=1e-6)


def test_a_sentence_without_a_vector_has_the_cosine_of_its_passage() -> None:
    retrieval = found("dogs", [PASSAGE])
    (hit,) = retrieval.hits
    bare = replace(retrieval, hits=(replace(hit, sentence_vectors=None),))
    cosines = {scored.cosine for scored in weigh(bare, "en").sentences}
    assert cosines == {hit.similarity}
    assert hit.similarity > 0


@pytest.mark.parametrize("language", ["en", "de"])
def test_words_that_all_match_suffice_where_nothing_was_embedded(language: str) -> None:
    certain = weigh(found("dogs bark", ["Dogs bark."], dense=False), language)
    assert certain.confidence > 0.99


def test_vectors_of_two_encoders_are_not_compared() -> None:
    retrieval = _two_dimensional(found("x", [PASSAGE]), bytes(6), Vector.from_floats([1.0]))
    with pytest.raises(FingerprintMismatchError):
        weigh(retrieval, "en")


def test_overlap_is_the_share_of_the_questions_weight_that_a_sentence_holds() -> None:
    retrieval = found("dogs bark mice", [PASSAGE])
    terms = tuple(QueryTerm(t.text, idf) for t, idf in zip(retrieval.terms, (4, 2, 6), strict=True))
    overlaps = {
        scored.position: scored.overlap
        for scored in weigh(replace(retrieval, terms=terms), "en").sentences
    }
    assert overlaps == {0: pytest.approx(0.5), 1: 0.0, 2: pytest.approx(0.5)}


def test_each_rank_costs_the_same_so_that_equal_sentences_keep_their_order() -> None:
    evidence = weigh(found("dogs bark", ["Dogs bark.", "Dogs bark."]), "en")
    first, second = evidence.sentences
    assert (first.rank, second.rank) == (0, 1)
    assert first.score - second.score == pytest.approx(0.03)


def test_a_collection_that_knows_only_one_text_still_trusts_its_words() -> None:
    evidence = weigh(found("dogs bark cats flew", [PASSAGE]), "en")
    assert max(scored.overlap for scored in evidence.sentences) == pytest.approx(0.5)


def test_words_in_title_or_headings_support_a_passage() -> None:
    retrieval = found("kennel rules dogs", ["Dogs bark."])
    (hit,) = retrieval.hits
    bare = weigh(retrieval, "en").confidence
    headed = replace(retrieval, hits=(replace(hit, headings=("Kennels", "Rules")),))
    titled = replace(retrieval, hits=(replace(hit, title="Kennel rules"),))
    other = replace(retrieval, hits=(replace(hit, title="Boats"),))
    assert weigh(headed, "en").confidence > bare
    assert weigh(titled, "en").confidence > bare
    assert weigh(other, "en").confidence == bare


def test_a_question_without_terms_is_scored_by_meaning_alone() -> None:
    retrieval = replace(found("dogs bark", [PASSAGE]), terms=())
    (hit,) = retrieval.hits
    bare = tuple(replace(sentence, terms=()) for sentence in hit.sentences)
    evidence = weigh(replace(retrieval, hits=(replace(hit, sentences=bare),)), "en")
    assert evidence.sentences[0].position == 0
    assert all(scored.overlap == 0 for scored in evidence.sentences)


def test_confidence_rises_with_strength_and_stays_in_its_bounds() -> None:
    calibration = Calibration(centre=1.0, scale=0.1)
    confidences = [calibration.confidence(strength) for strength in (-1e9, 0.5, 1.0, 1.5, 1e9)]
    assert confidences == sorted(confidences)
    assert confidences[2] == 0.5
    assert 0.0 <= confidences[0] < confidences[-1] <= 1.0


@pytest.mark.parametrize(("language", "stemmer"), [("en", "english"), ("de", "german")])
def test_function_words_are_listed_as_words_and_as_stems(language: str, stemmer: str) -> None:
    listed = FUNCTION_WORDS[language]
    stems = set(Stemmer.Stemmer(stemmer).stemWords(sorted(listed)))
    assert stems <= listed
