"""Markdown by markdown-it: the text stays as written, so that quotes are the author's."""

from __future__ import annotations

import re
from itertools import accumulate

from markdown_it import MarkdownIt

from ragmesh.core.reading import Extraction, Heading
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.builder import normalised, one_line, require_size, require_text
from ragmesh.indexing.parser.properties import properties_of_fields

CONTENT_TYPE = "text/markdown"

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n.*?^\1[ \t]*$", re.M | re.S)
_FRONT_TITLE = re.compile(r"^title[ \t]*[:=](.*)$", re.M | re.I)
_MAX_HEADING = 2_000
_LINE_BLOCKS = {"fence", "code_block", "html_block", "table_open"}


def read_markdown(text: str) -> Extraction:
    """The source text, with its headings, and its code and tables as lines."""
    text = normalised(text)
    require_size(len(text))
    require_text(text)
    front = _FRONT_MATTER.match(text)
    # The same number of lines without front matter, which markdown would take for a heading.
    body = re.sub(r"[^\n]+", "", front.group()) + text[front.end() :] if front else text
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    regions = [Span(0, front.end())] if front else []
    headings: list[Heading] = []
    # Markup inside of paragraphs stays as it is; looking for it takes time that brackets square.
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(body)
    for position, token in enumerate(tokens):
        if token.map is None:
            continue
        span = _trimmed(text, starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)])
        if token.type == "heading_open" and _apart(span, headings):
            title = _words(tokens[position + 1].content)
            if title:
                headings.append(Heading(span, int(token.tag[1:]), title))
        elif token.type in _LINE_BLOCKS and (not regions or span.start >= regions[-1].end):
            regions.append(span)
    return Extraction(
        text=text,
        title=_title(front.group() if front else "", headings),
        content_type=CONTENT_TYPE,
        headings=tuple(headings),
        line_regions=tuple(regions),
        properties=properties_of_fields(front.group() if front else ""),
    )


def _title(front: str, headings: list[Heading]) -> str:
    named = _FRONT_TITLE.search(front)
    title = one_line(named.group(1)).strip("\"'") if named else ""
    return title or next((h.title for h in headings if h.level == 1), "")


def _words(heading: str) -> str:
    """What a heading says, without its markup."""
    (inline,) = MarkdownIt("commonmark").parseInline(heading[:_MAX_HEADING])
    words = [
        child.content if child.type in {"text", "code_inline"} else " "
        for child in inline.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    ]
    return one_line("".join(words))


def _trimmed(text: str, start: int, end: int) -> Span:
    piece = text[start:end]
    return Span(start, start + len(piece.rstrip("\n")))


def _apart(span: Span, headings: list[Heading]) -> bool:
    return span.start < span.end and (not headings or span.start >= headings[-1].span.end)
