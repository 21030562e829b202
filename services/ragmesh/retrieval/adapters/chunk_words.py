"""The words of a chunk as every store keeps them: a line a sentence, and a last one for the rest.

A store splits them at white space alone, so that all of them rank by the same words.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.core.search import QueryTerm, Sentence
from ragmesh.core.spans import Span
from ragmesh.retrieval.adapters.analysis import Analyzer


def words_of(
    analyzer: Analyzer, text: str, headings: Sequence[str], sentences: Sequence[Span]
) -> tuple[str, str]:
    """The words of the text, a line a sentence and one for the rest, and those of the headings."""
    lines = analyzer.sentence_terms(text, sentences)
    above = analyzer.terms(" ".join(headings))
    return "\n".join(" ".join(line) for line in lines), " ".join(above)


def matched_sentences(
    words: str, spans: Sequence[Span], terms: Sequence[QueryTerm]
) -> tuple[Sentence, ...]:
    """The sentences of a chunk, each with the terms that its line of words holds."""
    numbers = {term.text: number for number, term in enumerate(terms)}
    asked = numbers.keys()
    return tuple(
        Sentence(span, tuple(sorted(numbers[term] for term in asked & line.split(" "))))
        for span, line in zip(spans, words.split("\n"), strict=False)
    )
