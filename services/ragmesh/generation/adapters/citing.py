"""From a model's markers to citations, and how much of its answer they support.

A model refers to a source by its number. The citation names the sentence of that source which
says most of what the model had just said, letter for letter. A sentence is grounded when it cites
and the words of what it cites hold most of its own, its numbers all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ragmesh.core.answers import Citation
from ragmesh.core.search import Hit
from ragmesh.core.spans import Span
from ragmesh.generation.adapters.languages import language_of
from ragmesh.generation.adapters.quoting import Quote, quote_of
from ragmesh.generation.adapters.words import function_words

SUPPORTED_SHARE = 0.5
"""Of a sentence's telling words, to be found in what it cites."""
_FORM_CHARACTERS = 5
"""Words that begin alike are taken for forms of one word."""
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
"""Scripts without spaces between words: pairs of characters stand for words there."""
_MARKERS = re.compile(r"(?:\s*\[\d+\])+")
_MARKER = re.compile(r"\[(\d+)\]")
_LIST_MARK = re.compile(r"^[ \t]*(?:[-*\u2022]|\d+[.)])[ \t]+", re.MULTILINE)
_SENTENCE = re.compile(
    r".+?(?:[.!?\u2026]+[\"'\u201d\u00bb)]*(?:\s*\[\d+\])*(?=\s|\Z)"
    r"|[\u3002\uff01\uff1f\u0964](?:\s*\[\d+\])*|\n|\Z)",
    re.DOTALL,
)


@dataclass(slots=True)
class Citer:
    """Follows one answer as it is written."""

    hits: Sequence[Hit]
    language: str
    """Of the collection."""
    _text: list[str] = field(default_factory=list)
    _numbers: dict[tuple[int, Span], int] = field(default_factory=dict)
    _cited: dict[int, int] = field(default_factory=dict)
    """Position of the hit by the number of the marker that cites it."""

    @property
    def said_anything(self) -> bool:
        """Whether the answer has a word."""
        return any(part.strip() for part in self._text)

    def say(self, text: str) -> None:
        """The answer goes on."""
        self._text.append(text)

    def cite(self, number: int) -> tuple[str, Citation | None] | None:
        """The marker for the source of this number, and its citation when that is new.

        None when no such source was given.
        """
        if not 1 <= number <= len(self.hits):
            return None
        position = number - 1
        quote = self._best_quote(self.hits[position])
        if quote is None:
            return None
        known = self._numbers.get((position, quote.span))
        own = len(self._numbers) + 1 if known is None else known
        marker = f"[{own}]"
        self._text.append(marker)
        if known is not None:
            return marker, None
        self._numbers[position, quote.span] = own
        self._cited[own] = position
        return marker, quote.citation(marker)

    def groundedness(self) -> float:
        """The share of the answer's sentences that their citations support."""
        sentences = [found for found in _sentences("".join(self._text)) if found.words]
        if not sentences:
            return 0.0
        return sum(self._supports(sentence) for sentence in sentences) / len(sentences)

    def _best_quote(self, hit: Hit) -> Quote | None:
        """The sentence of the hit that says most of what was just said."""
        said = [found.words for found in _sentences("".join(self._text)) if found.words]
        words = _telling(said[-1], self.language) if said else frozenset()
        best: tuple[float, Quote] | None = None
        spans = [sentence.span for sentence in hit.sentences] or [Span(0, len(hit.text))]
        for span in spans:
            quote = quote_of(hit, span)
            if not quote.text:
                continue
            share = _share(words, _forms(_words(quote.text)))
            if best is None or share > best[0]:
                best = share, quote
        return None if best is None else best[1]

    def _supports(self, sentence: _Said) -> bool:
        hits = [self.hits[self._cited[number]] for number in sentence.markers]
        if not hits:
            return False
        evidence = " ".join(f"{hit.title} {' '.join(hit.headings)} {hit.text}" for hit in hits)
        held = _words(evidence)
        if not {word for word in sentence.words if word.isdigit()} <= held:
            return False
        spoken = language_of(sentence.text, self.language)
        if spoken != language_of(evidence, self.language):
            return True  # words of two languages do not compare; numbers did
        return _share(_telling(sentence.words, spoken), _forms(held)) >= SUPPORTED_SHARE


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence of the answer."""

    text: str
    words: frozenset[str]
    markers: tuple[int, ...]


def _sentences(answer: str) -> Iterable[_Said]:
    """The sentences, each with the markers in it and those directly after its end."""
    for match in _SENTENCE.finditer(_LIST_MARK.sub("", answer)):
        text = _MARKERS.sub(" ", match.group())
        markers = tuple(int(number) for number in _MARKER.findall(match.group()))
        yield _Said(text, frozenset(_words(text)), markers)


def _words(text: str) -> set[str]:
    words: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if _UNSPACED.search(word) and len(word) > 1:
            words.update(word[start : start + 2] for start in range(len(word) - 1))
        else:
            words.add(word)
    return words


def _telling(words: Iterable[str], language: str) -> frozenset[str]:
    """The words that say something; all of them when there are no others."""
    every = frozenset(words)
    return every - function_words(language) or every


def _forms(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:_FORM_CHARACTERS] for word in words)


def _share(words: frozenset[str], forms: frozenset[str]) -> float:
    if not words:
        return 0.0
    return sum(word[:_FORM_CHARACTERS] in forms for word in words) / len(words)
