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
_LOOK_BACK_CHARACTERS = 1_000
"""Of an answer, to find the sentence a marker belongs to; a longer one is known by its end."""
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
    _quotable: dict[int, tuple[_Quotable, ...]] = field(default_factory=dict)
    """The sentences of each hit that was cited, by its position: they are split up once."""
    _latest: str = ""
    """The end of the answer so far."""
    said_anything: bool = False
    """Whether the answer has a word."""

    def say(self, text: str) -> None:
        """The answer goes on."""
        self.said_anything = self.said_anything or bool(text.strip())
        self._text.append(text)
        self._latest = f"{self._latest}{text}"[-_LOOK_BACK_CHARACTERS:]

    def cite(self, number: int) -> tuple[str, Citation | None] | None:
        """The marker for the source of this number, and its citation when that is new.

        None when no such source was given.
        """
        if not 1 <= number <= len(self.hits):
            return None
        position = number - 1
        quote = self._best_quote(position)
        if quote is None:
            return None
        known = self._numbers.get((position, quote.span))
        own = len(self._numbers) + 1 if known is None else known
        marker = f"[{own}]"
        self.say(marker)
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
        evidence: dict[tuple[int, ...], _Evidence] = {}
        return sum(self._supports(found, evidence) for found in sentences) / len(sentences)

    def _best_quote(self, position: int) -> Quote | None:
        """The sentence of the hit that says most of what was just said."""
        said = [found.words for found in _sentences(self._latest) if found.words]
        words = _telling(said[-1], self.language) if said else frozenset()
        if position not in self._quotable:
            self._quotable[position] = tuple(_quotable(self.hits[position]))
        # Of equals the first one.
        best = max(self._quotable[position], key=lambda one: _share(words, one.forms), default=None)
        return None if best is None else best.quote

    def _supports(self, sentence: _Said, evidence: dict[tuple[int, ...], _Evidence]) -> bool:
        cited = tuple(dict.fromkeys(self._cited[number] for number in sentence.markers))
        if not cited:
            return False
        if cited not in evidence:
            evidence[cited] = self._evidence(cited)
        held = evidence[cited]
        if not {word for word in sentence.words if word.isdigit()} <= held.words:
            return False
        spoken = language_of(sentence.text, self.language)
        if spoken != held.language:
            return True  # words of two languages do not compare; numbers did
        return _share(_telling(sentence.words, spoken), held.forms) >= SUPPORTED_SHARE

    def _evidence(self, cited: tuple[int, ...]) -> _Evidence:
        """What the hits at these positions say together."""
        hits = [self.hits[position] for position in cited]
        text = " ".join(f"{hit.title} {' '.join(hit.headings)} {hit.text}" for hit in hits)
        words = frozenset(_words(text))
        return _Evidence(words, _forms(words), language_of(text, self.language))


@dataclass(frozen=True, slots=True)
class _Quotable:
    """A sentence of a hit."""

    quote: Quote
    forms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the markers of a sentence stand for."""

    words: frozenset[str]
    forms: frozenset[str]
    language: str


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


def _quotable(hit: Hit) -> Iterable[_Quotable]:
    for span in [sentence.span for sentence in hit.sentences] or [Span(0, len(hit.text))]:
        quote = quote_of(hit, span)
        if quote.text:
            yield _Quotable(quote, _forms(_words(quote.text)))


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
