"""Keyword analysis is retrieval's own, so that every store ranks by the same words.

Text becomes terms: NFKC and casefolding, a Unicode word split that keeps combining marks,
identifiers whole and in parts (`snake_case`, `os.path`), numbers whole (`1.5`), names such as
`C++` and `C#`, pairs of characters for scripts without spaces, and stems for the languages that
have a stemmer here.
"""

from __future__ import annotations

import re
import sys
import threading
import unicodedata
from collections.abc import Sequence
from functools import cache

import Stemmer

from ragmesh.core.spans import Span

ANALYSIS_VERSION = 1
"""Counts up whenever the same text gives other terms: derived indexes are then built anew."""
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
        """The terms of a text in their order, repeated as often as they occur."""
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        whole: list[str] = []
        words: list[str] = []
        for token in _word_pattern().findall(folded):
            _split(token, whole, words)
        return whole + self._stems(words)

    def sentence_terms(self, text: str, sentences: Sequence[Span]) -> list[list[str]]:
        """The terms of each sentence, then those of what stands in no sentence."""
        lines = [self.terms(span.of(text)) for span in sentences]
        rest, end = [], 0
        for span in sorted(sentences):
            rest.append(text[end : span.start])
            end = max(end, span.end)
        rest.append(text[end:])
        return [*lines, self.terms(" ".join(rest))]

    def _stems(self, words: list[str]) -> list[str]:
        if self._stemmer is None:
            return words
        with self._turn:
            stems: list[str] = self._stemmer.stemWords(words)
        return stems


def _split(token: str, whole: list[str], words: list[str]) -> None:
    """File the token's terms under those kept as they are and those to be stemmed."""
    if _NUMBER.fullmatch(token):
        whole.append(token[:MAX_TERM_CHARACTERS])
        return
    if _is_unspaced(token[0]):
        whole.extend(_pairs(token))
        return
    token = token.replace("\u2019", "'").removesuffix("'s")
    parts = [part for part in _JOINERS.split(token) if part]
    if len(parts) == 1 and not token.endswith(("+", "#")):
        words.append(parts[0][:MAX_TERM_CHARACTERS])
        return
    whole.append(token.strip("._'-")[:MAX_TERM_CHARACTERS])
    if all(len(part) == 1 for part in parts):
        whole.append("".join(parts)[:MAX_TERM_CHARACTERS])  # U.S. is also asked for as US
    elif len(parts) > 1:
        words.extend(part.rstrip("+#")[:MAX_TERM_CHARACTERS] for part in parts)


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [run]
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)


@cache
def _word_pattern() -> re.Pattern[str]:
    """Words of letters, digits and the marks on them; Python's `\\w` would cut at the marks."""
    marks = "".join(_mark_ranges())
    unspaced = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNSPACED)
    letter = f"[^\\W_{unspaced}]"
    run = f"{letter}(?:{letter}|[{marks}])*"
    return re.compile(
        f"[{unspaced}]+"
        r"|\d+(?:[.,:]\d+)+(?![^\W_])"
        f"|{run}(?:[._'\u2019-]+{run})*(?:\\+\\+|#)?"
    )


def _mark_ranges() -> list[str]:
    """Runs of combining marks as ranges of a character class."""
    ranges: list[str] = []
    first: int | None = None
    for code in range(0x300, min(sys.maxunicode, 0x1FFFF)):
        is_mark = unicodedata.category(chr(code)).startswith("M")
        if is_mark and first is None:
            first = code
        elif not is_mark and first is not None:
            ranges.append(f"{chr(first)}-{chr(code - 1)}")
            first = None
    return ranges
