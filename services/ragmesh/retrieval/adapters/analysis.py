"""Keyword analysis is retrieval's own, so that every store ranks by the same words.

Text becomes terms: NFKC and casefolding without invisible characters, a Unicode word split that
keeps combining marks, identifiers in parts and whole (`snake_case`, `os.path`), numbers whole
(`1.5`), names such as `C++` and `C#`, pairs of characters for scripts without spaces, and stems
for the languages that have a stemmer here.

The terms of a text come in two parts: its words one after the other, in which phrases are looked
for, and behind them the wholes of which it holds parts. So a phrase may begin or end within
`os.path`, and `well-known` is the phrase "well known".
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Sequence
from functools import cache

import Stemmer

from ragmesh.core.invisible import without_invisible
from ragmesh.core.spans import Span
from ragmesh.retrieval.adapters.marks import mark_ranges

ANALYSIS_VERSION = 2
"""Counts up whenever the same text gives other terms: what is stored is then analysed anew."""
MAX_TERM_CHARACTERS = 64
"""Longer runs are no words; only their beginning is a term."""
_STEMMERS = {"en": "english", "de": "german"}
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)+")
_JOINERS = re.compile("[._'\\-]+")
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


class Analyzer:
    """Turns texts of one language into terms; any thread may call it."""

    def __init__(self, language: str) -> None:
        code = language.casefold().split("-")[0]
        name = _STEMMERS.get(code)
        self.name = f"{code if name else 'none'}/{ANALYSIS_VERSION}"
        """What must be equal for two indexes of terms to be comparable."""
        self._stemmer = Stemmer.Stemmer(name) if name else None
        self._turn = threading.Lock()  # a stemmer keeps a buffer of its own

    def terms(self, text: str) -> list[str]:
        """The terms of a text, repeated as often as they occur: its words, then its wholes."""
        words, wholes = self._analysed(text)
        return [*words, *wholes]

    def phrase(self, text: str) -> list[str]:
        """The terms that stand one after the other wherever the text does."""
        return self._analysed(text)[0]

    def sentence_terms(self, text: str, sentences: Sequence[Span]) -> list[list[str]]:
        """The terms of each sentence, then those of what stands in no sentence."""
        lines = [self.terms(span.of(text)) for span in sentences]
        rest, end = [], 0
        for span in sorted(sentences):
            rest.append(text[end : span.start])
            end = max(end, span.end)
        rest.append(text[end:])
        return [*lines, self.terms(" ".join(rest))]

    def _analysed(self, text: str) -> tuple[list[str], list[str]]:
        """The words of a text in their order, and the wholes that some of them are parts of."""
        split = _Split()
        for token in _tokens(text):
            split.take(token)
        return self._stemmed(split), split.wholes

    def _stemmed(self, split: _Split) -> list[str]:
        words = split.words
        if self._stemmer is None or not split.plain:
            return words
        with self._turn:
            stems: list[str] = self._stemmer.stemWords([words[at] for at in split.plain])
        for at, stem in zip(split.plain, stems, strict=True):
            words[at] = stem
        return words


class _Split:
    """Words of a text in their order, which of them are to be stemmed, and wholes of parts."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.plain: list[int] = []
        """Positions of the words that have a stem; numbers and names are kept as they are."""
        self.wholes: list[str] = []

    def take(self, token: str) -> None:
        """File one token of folded text."""
        if _NUMBER.fullmatch(token):
            self._keep(token)
            return
        if _is_unspaced(token[0]):
            self.words.extend(_pairs(token))
            return
        token = token.replace("\u2019", "'").removesuffix("'s")
        parts = [part for part in _JOINERS.split(token) if part]
        if len(parts) > 1:
            self._take_parts(parts)
            self.wholes.append(token.strip("._'-")[:MAX_TERM_CHARACTERS])
        elif token.endswith(("+", "#")):
            self._keep(token.strip("._'-"))
        elif parts:
            self._stem(parts[0])

    def _take_parts(self, parts: Sequence[str]) -> None:
        if all(len(part) == 1 for part in parts):
            self._keep("".join(parts))  # U.S. is also asked for as US
            return
        for part in parts:
            self._stem(part.rstrip("+#"))

    def _keep(self, word: str) -> None:
        self.words.append(word[:MAX_TERM_CHARACTERS])

    def _stem(self, word: str) -> None:
        self.plain.append(len(self.words))
        self.words.append(word[:MAX_TERM_CHARACTERS])


def _tokens(text: str) -> list[str]:
    """The words of a text, folded."""
    if text.isascii():  # nothing in it is invisible, composed or folded in another way
        plain: list[str] = _ASCII_WORDS.findall(text.lower())
        return plain
    text = without_invisible(text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    tokens: list[str] = _word_pattern().findall(folded)
    return tokens


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)


_ASCII_WORDS = re.compile(r"\d+(?:[.,:]\d+)+(?![^\W_])|[^\W_]+(?:[._'-]+[^\W_]+)*(?:\+\+|#)?", re.A)
"""What the pattern below comes to in a text without other letters; it is ready a hundred times as
fast, and matches twice as fast."""


@cache
def _word_pattern() -> re.Pattern[str]:
    """Words of letters, digits and the marks on them; Python's `\\w` would cut at the marks."""
    marks = "".join(f"{chr(first)}-{chr(last)}" for first, last in mark_ranges())
    unspaced = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED)
    letter = f"[^\\W_{unspaced}]"
    run = f"{letter}(?:{letter}|[{marks}])*"
    return re.compile(
        f"[{unspaced}]+"
        r"|\d+(?:[.,:]\d+)+(?![^\W_])"
        f"|{run}(?:[._'\u2019-]+{run})*(?:\\+\\+|#)?"
    )
