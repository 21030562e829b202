"""What a keyword search looks for, analysed; every store is asked the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.wording import Field, Wording

WEIGHTS = MappingProxyType({Field.TEXT: 1.0, Field.TITLE: 0.3, Field.HEADINGS: 0.3})
"""What a word is worth by where it stands."""
MAX_TERMS = 256
"""Most terms of a question that are looked at."""
MAX_QUERY_TERMS = 64
"""Most terms that are searched for: the rarest."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Terms that stand one after the other in one of the fields."""

    terms: tuple[str, ...]
    fields: tuple[Field, ...] = tuple(Field)


@dataclass(frozen=True, slots=True)
class KeywordQuery:
    """What is looked for, analysed."""

    terms: tuple[str, ...]
    """None of them is needed, as long as there is one or a phrase."""
    phrases: tuple[Phrase, ...] = ()

    @property
    def finds_nothing(self) -> bool:
        """Whether nothing was asked for."""
        return not (self.terms or self.phrases)


def terms_of(analyzer: Analyzer, question: str) -> tuple[str, ...]:
    """The distinct terms of a question, in their order."""
    return tuple(dict.fromkeys(analyzer.terms(question)))[:MAX_TERMS]


def idf(chunks: int, holding: int) -> float:
    """How telling a term is that so many of the chunks hold."""
    holding = min(chunks, holding)
    return math.log(1 + (chunks - holding + 0.5) / (holding + 0.5))


def keyword_query(analyzer: Analyzer, wording: Wording, terms: Sequence[QueryTerm]) -> KeywordQuery:
    """The rarest terms, and every phrase that holds a word at all."""
    words = set(analyzer.terms(wording.words)) if wording.clauses else None
    searched = [term for term in terms if words is None or term.text in words]
    searched.sort(key=lambda term: -term.idf)
    phrases = []
    for clause in wording.clauses:
        phrase = tuple(analyzer.phrase(clause.text)[:MAX_QUERY_TERMS])
        if phrase:
            fields = tuple(Field) if clause.field is None else (clause.field,)
            phrases.append(Phrase(phrase, fields))
    return KeywordQuery(tuple(term.text for term in searched[:MAX_QUERY_TERMS]), tuple(phrases))
