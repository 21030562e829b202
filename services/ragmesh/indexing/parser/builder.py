"""Builds an extraction piece by piece, so that offsets always count in the normalised text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ragmesh.core.errors import NoTextError, OutputTooLargeError
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.reading import Extraction, Heading
from ragmesh.core.spans import Span

MAX_CHARACTERS = 16_000_000
"""Most code points of one text; the answer of a parser is bounded in bytes as well."""

_LINE_ENDS = re.compile(r"\r\n?|[\f\v\x85\u2028\u2029]")
_UNWANTED = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff\ufffe\uffff]"  # controls, soft hyphens, marks
)
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_MAX_LEVEL = 9


def normalised(text: str) -> str:
    """NFC with plain line ends and without characters that are not text."""
    text = _LINE_ENDS.sub("\n", text)
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _UNWANTED.sub("", text))
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """The words of a text with single spaces."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # most cells of most tables; nothing in them is to be changed
    return " ".join(normalised(text).split())


class TextBuilder:
    """Collects blocks; each stands apart by an empty line, at which NFC never composes."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._regions: list[Span] = []
        self._pages: list[int] = []

    def page(self) -> None:
        """Start the next page."""
        self._pages.append(self._length)

    def paragraph(self, text: str) -> Span | None:
        """Add running text whose line ends are soft; None when it is blank."""
        text = normalised(text).strip("\n")
        return self._append(text) if text.strip() else None

    def lines(self, lines: Sequence[str]) -> None:
        """Add lines that each stand for themselves."""
        kept = [line for line in (normalised(line).rstrip() for line in lines) if line.strip()]
        if kept:
            self._regions.append(self._append("\n".join(kept)))

    def heading(self, level: int, text: str) -> None:
        """Add a heading as a block of its own."""
        title = one_line(text)
        if title:
            level = min(max(level, 1), _MAX_LEVEL)
            self._headings.append(Heading(self._append(title), level, title))

    def mark_heading(self, span: Span, level: int, title: str) -> None:
        """Name a part of the text already added as a heading; headings are named in order."""
        self._headings.append(Heading(span, min(max(level, 1), _MAX_LEVEL), title))

    @property
    def headings(self) -> Sequence[Heading]:
        """The headings so far."""
        return self._headings

    def extraction(
        self, *, title: str, content_type: str, properties: FileProperties = NO_PROPERTIES
    ) -> Extraction:
        """All of it; NoTextError when there is nothing to read."""
        text = "".join(self._pieces)
        require_text(text)
        return Extraction(
            text=text,
            title=one_line(title),
            content_type=content_type,
            pages=tuple(min(page, len(text)) for page in self._pages),
            headings=tuple(self._headings),
            line_regions=tuple(self._regions),
            properties=properties,
        )

    def _append(self, text: str) -> Span:
        if self._length:
            self._pieces.append("\n\n")
            self._length += 2
            if self._pages and self._pages[-1] == self._length - 2:
                self._pages[-1] = self._length  # the page starts with its text, not the gap
        start = self._length
        self._pieces.append(text)
        self._length += len(text)
        require_size(self._length)
        return Span(start, self._length)


def require_size(characters: int) -> None:
    """OutputTooLargeError above the most that one text may hold."""
    if characters > MAX_CHARACTERS:
        raise OutputTooLargeError(
            f"the text is longer than {MAX_CHARACTERS:,} characters; split the file",
            metadata={"limit": str(MAX_CHARACTERS)},
        )


def require_text(text: str) -> None:
    """NoTextError when no character of the text is a letter, digit or symbol."""
    if not any(unicodedata.category(character)[0] in "LNSP" for character in text):
        raise NoTextError("the file holds no text; a scan needs text recognition first")
