"""How strong the evidence for an answer is: sentences scored by meaning and by words.

The numbers were measured with all-MiniLM-L6-v2 on English and German questions, over collections
of one document to hundreds, with and without the passage that answers them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ragmesh.core.errors import FingerprintMismatchError
from ragmesh.core.search import Hit, QueryTerm, Retrieval
from ragmesh.core.vectors import SentenceVectors, Vector
from ragmesh.generation.adapters.words import function_words

PASSAGES = 8
"""Passages whose sentences may be quoted."""
_SUPPORTING_PASSAGES = 3
"""Passages that may support an answer as a whole."""
_RANK_COST = 0.03
"""What a sentence loses for each passage that was ranked before its own."""
_LEAST_IDF = 2.0
"""A word that every chunk holds is still a word of the question. Without this floor a collection
of one document would find its own words worthless and refuse what it can answer."""
_MOST_IDF_OF_FUNCTION_WORDS = 1.0
"""A small collection may lack "which"; that does not make it telling."""
_SENTENCE_COSINE = 0.75
_PASSAGE_COSINE = 0.5
"""Cosines order sentences better than they tell answerable from unanswerable."""
_STEM_CHARACTERS = 4
"""Shorter stems begin too many other words."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where strength turns into confidence: at `centre` it is one half."""

    centre: float
    scale: float

    def confidence(self, strength: float) -> float:
        """The share of such questions whose answer was there, in (0, 1)."""
        exponent = (self.centre - strength) / self.scale
        return 1.0 / (1.0 + math.exp(max(-60.0, min(60.0, exponent))))


_ENGLISH = Calibration(1.50, 0.19)
_ENGLISH_WORDS = Calibration(0.90, 0.15)
_OTHER = Calibration(1.13, 0.22)
_OTHER_WORDS = Calibration(0.71, 0.18)


@dataclass(frozen=True, slots=True)
class Scored:
    """A sentence of a hit and how well it fits the question."""

    rank: int
    """Of its hit, from 0."""
    position: int
    """Among the sentences of its hit, from 0."""
    cosine: float
    overlap: float

    @property
    def score(self) -> float:
        """Meaning, words, and the ranking's own opinion."""
        return self.cosine + self.overlap - _RANK_COST * self.rank


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentences of the first passages, best first, and what they are worth together."""

    sentences: tuple[Scored, ...]
    confidence: float


def weigh(retrieval: Retrieval, language: str) -> Evidence:
    """Score every sentence of the first passages; embeds nothing."""
    code = language.casefold().split("-")[0]
    weights = _term_weights(retrieval.terms, function_words(code))
    hits = retrieval.hits[:PASSAGES]
    cosines = _cosines(hits, retrieval.query_vector)
    scored = [
        sentence
        for rank, hit in enumerate(hits)
        for sentence in _score_hit(rank, hit, weights, cosines[rank])
    ]
    if not scored:
        return Evidence((), 0.0)
    scored.sort(key=lambda sentence: (-sentence.score, sentence.rank, sentence.position))
    # Where the question was not embedded every cosine is 0, and the curve another one.
    strength = scored[0].overlap + _SENTENCE_COSINE * scored[0].cosine
    strength += max(_support(hit, retrieval.terms, weights) for hit in hits[:_SUPPORTING_PASSAGES])
    dense = retrieval.query_vector is not None
    return Evidence(tuple(scored), _calibration(code, dense=dense).confidence(strength))


def _calibration(language: str, *, dense: bool) -> Calibration:
    if language == "en":
        return _ENGLISH if dense else _ENGLISH_WORDS
    return _OTHER if dense else _OTHER_WORDS


def _term_weights(terms: Sequence[QueryTerm], functional: frozenset[str]) -> tuple[float, ...]:
    """What finding each term is worth; all together are worth 1."""
    raw = [
        min(term.idf, _MOST_IDF_OF_FUNCTION_WORDS)
        if term.text in functional
        else max(term.idf, _LEAST_IDF)
        for term in terms
    ]
    total = sum(raw)
    return tuple(weight / total for weight in raw) if total > 0 else tuple(0.0 for _ in raw)


def _support(hit: Hit, terms: Sequence[QueryTerm], weights: Sequence[float]) -> float:
    """What a passage as a whole says for the answer being in it."""
    return _overlap(_terms(hit, terms), weights) + _PASSAGE_COSINE * hit.similarity


def _terms(hit: Hit, terms: Sequence[QueryTerm]) -> set[int]:
    """The terms that a passage holds, in its sentences or in what stands above them."""
    found = {term for sentence in hit.sentences for term in sentence.terms}
    above = set(_WORD.findall(" ".join((hit.title, *hit.headings)).casefold()))
    found.update(
        number for number, term in enumerate(terms) if any(_is_form(word, term) for word in above)
    )
    return found


def _is_form(word: str, term: QueryTerm) -> bool:
    """Whether the word may be a form of the term, which may be a stem."""
    text = term.text
    return word == text or (len(text) >= _STEM_CHARACTERS and word.startswith(text))


def _overlap(found: Iterable[int], weights: Sequence[float]) -> float:
    return sum(weights[term] for term in set(found))


def _score_hit(
    rank: int, hit: Hit, weights: Sequence[float], cosines: Sequence[float]
) -> list[Scored]:
    return [
        Scored(rank, position, cosines[position], _overlap(sentence.terms, weights))
        for position, sentence in enumerate(hit.sentences)
        if not sentence.span.of(hit.text).isspace() and sentence.span.start < sentence.span.end
    ]


def _cosines(hits: Sequence[Hit], vector: Vector | None) -> list[Sequence[float]]:
    """The cosine of each sentence; that of its passage where sentences have no vectors."""
    if vector is None:
        return [[0.0] * len(hit.sentences) for hit in hits]
    stored = [_vectors_of(hit) for hit in hits]
    known = [one for one in stored if one is not None]
    # All sentences in one product: what a call costs is more than what it has to do.
    cosines = iter(_matrix_cosines(known, np.frombuffer(vector.values, dtype="<f4")))
    return [
        [hit.similarity] * len(hit.sentences) if one is None else list(islice(cosines, one.count))
        for hit, one in zip(hits, stored, strict=True)
    ]


def _vectors_of(hit: Hit) -> SentenceVectors | None:
    stored = hit.sentence_vectors
    return stored if stored is not None and stored.count == len(hit.sentences) else None


def _matrix_cosines(stored: Sequence[SentenceVectors], query: NDArray[np.float32]) -> list[float]:
    if any(one.dimension != query.size for one in stored):
        raise FingerprintMismatchError("sentences and question were embedded by different encoders")
    values = b"".join(one.values for one in stored)
    matrix = np.frombuffer(values, np.int8).reshape(-1, query.size).astype(np.float32)
    # int8 rounding leaves rows slightly off unit length; a row without tokens is all zeros.
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(query)
    products = matrix @ query
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    found: list[float] = cosines.tolist()
    return found
