"""Plain text: underlined titles, mail-like headers and literal blocks where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from ragmesh.core.reading import Extraction, Heading
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.builder import normalised, one_line, require_size, require_text
from ragmesh.indexing.parser.properties import properties_of_fields

CONTENT_TYPE = "text/plain"

_RULE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}[ \t]*")
_FIELD = re.compile(r"[A-Z][A-Za-z0-9-]{0,40}:(?:[ \t]|$)")
_TITLE_FIELD = re.compile(r"^(?:Title|Subject):[ \t]*(.+(?:\n[ \t]+.+)*)", re.M)
_LITERAL = re.compile(r"::[ \t]*$|^[ \t]*\.\. [a-z-]+::")
_GRID = re.compile(r"[ \t]*[=+|-][=+|\- \t]*[=+|-][ \t]*")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2})*\.?)[ \t]+[^\W\d_][^\n]{1,90}[^\W_)]\s*")
_MAX_TITLE = 200
_MAX_LEVEL = 6


def read_plain(text: str) -> Extraction:
    """The text as it is, with what structure its lines show."""
    text = normalised(text)
    require_size(len(text))
    require_text(text)
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    header = _header_lines(lines)
    headings = list(_headings(lines, starts)) or list(_numbered_headings(lines, starts, header))
    regions = [Span(starts[0], starts[header] - 1)] if header else []
    taken = [heading.span for heading in headings]
    regions += [
        region
        for region in _line_blocks(lines, starts, header)
        if not any(region.start < t.end and t.start < region.end for t in _near(taken, region))
    ]
    return Extraction(
        text=text,
        title=_title(text[: starts[header]], headings),
        content_type=CONTENT_TYPE,
        headings=tuple(headings),
        line_regions=tuple(regions),
        properties=properties_of_fields(text[: starts[header]]),
    )


def _header_lines(lines: Sequence[str]) -> int:
    """How many lines of `Field: value` (with continuations) stand at the top."""
    fields = 0
    for number, line in enumerate(lines):
        if _FIELD.match(line):
            fields += 1
        elif not (fields and line[:1] in {" ", "\t"} and line.strip()):
            return number if fields > 1 and not line.strip() else 0
    return len(lines) if fields > 1 else 0


def _title(header: str, headings: Sequence[Heading]) -> str:
    named = _TITLE_FIELD.search(header)
    if named:
        return one_line(named.group(1))
    top = [heading.title for heading in headings if heading.level == 1]
    return top[0] if top and headings[0].level == 1 else ""


def _headings(lines: Sequence[str], starts: Sequence[int]) -> Iterator[Heading]:
    """Titles underlined, and perhaps overlined, by one character; its first use sets its level."""
    ranks: list[tuple[str, bool]] = []
    end = 0
    for number in range(1, len(lines)):
        title, rule = lines[number - 1], lines[number]
        if number - 1 < end or not _underlines(title, rule):
            continue
        over = number >= 2 and lines[number - 2].rstrip() == rule.rstrip()
        first = number - 2 if over and number - 2 >= end else number - 1
        if first == number - 1 and first > 0 and lines[first - 1].strip():
            continue  # the last line of a paragraph or a table, not a title
        rank = (rule[0], first == number - 2)
        if rank not in ranks:
            ranks.append(rank)
        end = number + 1
        span = Span(starts[first], starts[number] + len(rule.rstrip()))
        yield Heading(span, min(ranks.index(rank) + 1, _MAX_LEVEL), one_line(title))


def _numbered_headings(
    lines: Sequence[str], starts: Sequence[int], first: int
) -> Iterator[Heading]:
    """Lines that stand alone as `1. Title` or `2.3 Title` over a paragraph, without a full stop."""
    parts = list(_paragraphs(lines, first))
    for (begin, end), (following, _) in pairwise(parts):
        found = _NUMBERED.fullmatch(lines[begin]) if end - begin == 1 else None
        if found and not _NUMBERED.match(lines[following]):
            level = found.group(1).rstrip(".").count(".") + 1
            span = Span(starts[begin], starts[begin] + len(lines[begin].rstrip()))
            yield Heading(span, min(level, _MAX_LEVEL), one_line(lines[begin]))


def _underlines(title: str, rule: str) -> bool:
    words = title.strip()
    return (
        0 < len(words) <= _MAX_TITLE
        and any(character.isalnum() for character in words)
        and _RULE.fullmatch(rule) is not None
        and len(rule.rstrip()) >= min(len(title.rstrip()), _MAX_TITLE) * 0.8
        and not _RULE.fullmatch(title)
    )


def _line_blocks(lines: Sequence[str], starts: Sequence[int], first: int) -> Iterator[Span]:
    """Literal blocks after `::`, and paragraphs that hold a grid of rules, as lines."""
    literal: int | None = None
    for begin, end in _paragraphs(lines, first):
        indent = _indent(lines[begin])
        if literal is not None and indent <= literal:
            literal = None
        grid = sum(_GRID.fullmatch(line) is not None for line in lines[begin:end]) >= 2
        if literal is not None or grid:
            yield Span(starts[begin], starts[end] - 1)
        elif _LITERAL.search(lines[end - 1]) or _LITERAL.search(lines[begin]):
            literal = _indent(lines[end - 1]) if end - begin == 1 else indent


def _paragraphs(lines: Sequence[str], first: int) -> Iterator[tuple[int, int]]:
    begin: int | None = None
    for number in range(first, len(lines)):
        if lines[number].strip():
            begin = number if begin is None else begin
        elif begin is not None:
            yield begin, number
            begin = None
    if begin is not None:
        yield begin, len(lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _near(spans: Sequence[Span], region: Span) -> Iterator[Span]:
    """The spans that could touch a region, found by position."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if spans[middle].end <= region.start:
            low = middle + 1
        else:
            high = middle
    yield from spans[low : low + 1]
