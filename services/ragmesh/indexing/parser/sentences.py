"""Sentences of a text as spans that together hold every visible character.

Where sentences end is found by sentencex, which knows the abbreviations of many languages. What
is repaired here is what a passage of a document has beyond running prose: soft and hard line
ends, list items, table rows, footnote marks, and sentences too long to quote.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import sentencex

from ragmesh.core.spans import Span

LONG_SENTENCE = 400
"""Longer sentences are cut where a clause ends."""

_EMPTY_LINE = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_ITEM = re.compile(
    r"[ \t]*(?:[-*+•‣◦▪\u2013\u2014·][ \t]+"  # bullets
    r"|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)][ \t]+"  # 1. (a) iv)
    r"|>+ |:\w[^:\n]{0,40}: )"  # quoted mail, field lists
)
_NUMBERED = re.compile(r"\d{1,3}(?:\.\d{1,3})*\.?[ \t]+[A-ZÀ-ÖØ-Þ]")
_ENUMERATOR = re.compile(r"\W*(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\W*")
_CLOSING = re.compile(r"[.!?…][)\]\"”\u2019»]*[)\]](?=\s+[\"“„(\[]?[A-ZÀ-ÖØ-Þ])")
_NOTE = re.compile(r"[.!?…][\"”\u2019»]?(?:\[[^\]\n]{1,40}\])+(?=\s+[\"“„(]?[A-ZÀ-ÖØ-Þ0-9])")
_NOTE_START = re.compile(r"\[[^\]\n]{1,40}\]|[:,;)\]]")
_ORDINAL = re.compile(r"(?:^|[\s(])\d{1,2}\.\s*$")
_GERMAN_BEFORE_ORDINAL = re.compile(
    r"\b(?:und|oder|bis|der|die|das|dem|den|des|am|vom|im|zum|zur|ab)\s+\d{1,2}\.\s*$", re.I
)
_GERMAN_AFTER_ORDINAL = re.compile(
    r"(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrhundert|Jh|Jahrtausend|Lebensjahr"
    r"|Platz|Stock|Kapitel|Klasse|Auflage|Geburtstag|Etage|Grad|Tag|Woche|Monat|Stunde|Mal)"
)
_ABBREVIATIONS = frozenset(
    f"{word}."
    for word in re.findall(
        r"\S+",
        "approx ca cf vs incl excl resp fig figs eq sec ch vol pp ed eds al art par nr abs bzw vgl"
        " z.b d.h u.a o.ä s.o s.u evtl ggf inkl max min tel st e.g i.e viz c b d fl r tab abb p no"
        " nos dept est",
    )
)
_CLAUSE_ENDS = (
    re.compile(
        r"(?<=[^\W_]{2})[.!?…][\"”\u2019»)\]]*(?=\s+[\"“„(]?[A-ZÀ-ÖØ-Þ])"
    ),  # hidden by an open quote
    re.compile(r"[;:](?=\s)|\s[\u2013\u2014](?=\s)"),
    re.compile(r",(?=\s)"),
    re.compile(r"\s"),
)
_SEEN = 600
"""How much on either side of an end is looked at; a paragraph may be megabytes long."""
_WINDOW = 20_000
"""What sentencex is given at once: its time grows with the square of the length."""
_REACH = 3
"""A cut may lie this part of the longest piece away from where it is wanted."""
_MOST_MARKS = 32
"""More on one letter are no writing, and are cut like letters: Unicode's streams allow 30."""
_SHORT_LINE = 40
_SHORT_SHARE = 0.6
_FULL_SHARE = 0.85
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")


def sentences_of(text: str, span: Span, *, lines: bool, language: str) -> Iterator[Span]:
    """The sentences of one part of a text; with `lines`, every line ends one."""
    for part in _paragraphs(text, span, lines=lines):
        for piece in _running(text, part, language=language, rows=lines):
            yield from shortened(text, piece, LONG_SENTENCE)


def shortened(text: str, span: Span, longest: int) -> Iterator[Span]:
    """The span in pieces of at most `longest` characters, cut where a clause or word ends."""
    waiting = [span]
    while waiting:
        piece = waiting.pop()
        if piece.end - piece.start <= longest:
            yield piece
            continue
        cut = _best_cut(text, piece, longest)
        parts = (Span(piece.start, cut), Span(cut, piece.end))
        waiting += [p for p in (trimmed(text, part) for part in reversed(parts)) if p]


def trimmed(text: str, span: Span) -> Span | None:
    """The span without white space around it; None when nothing is left."""
    start, end = span.start, span.end  # no slices: spans can be megabytes long
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end) if start < end else None


def _best_cut(text: str, span: Span, longest: int) -> int:
    """Where to cut a first piece off: at the best end of a clause, else of a word, else anywhere.

    The piece is as long as all pieces of the span would be, if they were alike. A cut that would
    tear a combining mark off its letter moves on, past as many as a letter can have.
    """
    length = span.end - span.start
    wanted = span.start + length // -(-length // longest)
    reach = max(1, longest // _REACH)
    low, high = max(span.start + 1, wanted - reach), min(span.end - 1, wanted + reach)
    high = max(low, min(high, span.start + longest))
    for pattern in _CLAUSE_ENDS:
        ends = [m.end() for m in pattern.finditer(text, low - 1, high)]
        if ends:
            return min(ends, key=lambda end: abs(end - wanted))
    cut = min(wanted, high)
    whole = range(cut, min(cut + _MOST_MARKS, span.end))
    return next((index for index in whole if not _belongs_to_previous(text, index)), cut)


def _belongs_to_previous(text: str, index: int) -> bool:
    character = text[index]
    joined = character in _JOINERS or text[index - 1] == "\u200d"
    return joined or unicodedata.combining(character) != 0


def _paragraphs(text: str, span: Span, *, lines: bool) -> Iterator[Span]:
    """Parts that no sentence crosses: paragraphs, and in them lines, items and short lines."""
    start = span.start
    gaps = [(gap.start(), gap.end()) for gap in _EMPTY_LINE.finditer(text, span.start, span.end)]
    for gap_start, gap_end in [*gaps, (span.end, span.end)]:
        yield from _line_groups(text, Span(start, max(start, gap_start)), lines=lines)
        start = gap_end


def _line_groups(text: str, paragraph: Span, *, lines: bool) -> Iterator[Span]:
    content = paragraph.of(text)
    rows = content.split("\n")
    longest = max(map(len, rows))
    start = position = paragraph.start
    for number, row in enumerate(rows):
        position += len(row) + 1
        last = number + 1 == len(rows)
        if last or lines or _hard_end(row, rows[number + 1], longest):
            part = trimmed(text, Span(start, min(position, paragraph.end)))
            if part:
                yield part
            start = position


def _hard_end(line: str, following: str, longest: int) -> bool:
    """Whether the line ends here on purpose, not because the page is only so wide."""
    if _ITEM.match(following) or not following.strip():
        return True
    words = line.strip()
    opens = following.lstrip()[0]
    if opens.islower() or words.endswith((",", "-", "\u2013")):
        return False
    if _NUMBERED.match(following.lstrip()) and len(line) < longest * _FULL_SHARE:
        return True
    short = len(line) < longest * _SHORT_SHARE
    return (short and words.endswith((".", "!", "?", ":", ";"))) or len(line) < _SHORT_LINE


def _running(text: str, part: Span, *, language: str, rows: bool) -> Iterator[Span]:
    """The sentences of running text; a row of a table or a line of code is one by itself."""
    content = part.of(text).replace("\n", " ")
    if rows and not _ITEM.match(content):
        yield part
        return
    cuts = _proposed_ends(content, language)
    cuts |= {match.end() for match in _CLOSING.finditer(content)}
    cuts |= {match.end() for match in _NOTE.finditer(content)}
    start = 0
    for cut in sorted(cut for cut in cuts if 0 < cut < len(content)):
        left, right = content[max(start, cut - _SEEN) : cut], content[cut : cut + _SEEN]
        if not _ends_sentence(left, right, language):
            continue
        piece = trimmed(text, Span(part.start + start, part.start + cut))
        if piece:
            yield piece
        start = cut
    piece = trimmed(text, Span(part.start + start, part.end))
    if piece:
        yield piece


def _proposed_ends(content: str, language: str) -> set[int]:
    """Where sentencex sees ends; each window begins at the last end of the one before it."""
    ends: set[int] = set()
    start = 0
    while True:
        window = content[start : start + _WINDOW]
        boundaries = sentencex.get_sentence_boundaries(language, window)
        found = {start + boundary["end_index"] for boundary in boundaries}
        if start + len(window) == len(content):
            return ends | found
        # An end near the edge may be one only because the window ends there.
        edge = start + _WINDOW - _SEEN
        settled = {end for end in found if start < end <= edge}
        ends |= settled
        start = max(settled, default=edge)


def _ends_sentence(left: str, right: str, language: str) -> bool:
    """Whether a proposed end is one: not after an abbreviation or number, nor inside brackets."""
    right = right.lstrip()
    if not any(map(str.isalnum, right[:3])) and not any(map(str.isalnum, right)):
        return False
    if _ENUMERATOR.fullmatch(left) or right[0].islower() or _NOTE_START.match(right):
        return False
    words = left.split()
    if words and words[-1].lstrip('(["“„').lower() in _ABBREVIATIONS:
        return False
    if left.count("(") > left.count(")") and ")" in right[:LONG_SENTENCE]:
        return False
    return not (language == "de" and _is_german_ordinal(left, right))


def _is_german_ordinal(left: str, right: str) -> bool:
    if _GERMAN_BEFORE_ORDINAL.search(left):
        return True
    return bool(_ORDINAL.search(left) and _GERMAN_AFTER_ORDINAL.match(right))
