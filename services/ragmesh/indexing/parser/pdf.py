"""PDF by pdfium: text by page, bookmarks as headings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pypdfium2
from pypdfium2 import raw

from ragmesh.core.errors import EncryptedFileError, NoTextError, UnreadableFileError
from ragmesh.core.reading import Extraction
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.builder import TextBuilder, normalised, one_line

CONTENT_TYPE = "application/pdf"

_SPLIT_WORD = re.compile(r"[\u0002\ufffe\u00ad]\r?\n")
_DIGITS = re.compile(r"\d+")
_USELESS_TITLE = re.compile(r"(?:microsoft (?:word|powerpoint)\b.*|untitled.*|.*\.\w{2,4})", re.I)
_LOCKED = {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
_EDGE_LINES = 2
_MAX_BOOKMARKS = 5_000


@dataclass(frozen=True, slots=True)
class _Bookmark:
    page: int
    level: int
    title: str


def read_pdf(content: bytes) -> Extraction:
    """The text of every page, without the head and foot lines that pages repeat."""
    document = _open(content)
    try:
        pages = [_page_text(document, index) for index in range(len(document))]
        bookmarks = _bookmarks(document)
        title = _title(document)
    finally:
        document.close()
    builder = TextBuilder()
    for number, lines in enumerate(_without_repeated_edges(pages)):
        builder.page()
        span = builder.paragraph("\n".join(lines))
        if span is not None:
            text = normalised("\n".join(lines)).strip("\n")
            _mark_headings(builder, span, text, [b for b in bookmarks if b.page == number])
    try:
        return builder.extraction(
            title=title or _first_title(builder, bookmarks), content_type=CONTENT_TYPE
        )
    except NoTextError:
        raise NoTextError(
            "the PDF holds no text; a scan needs text recognition first",
            metadata={"pages": str(len(pages))},
        ) from None


def _open(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) in _LOCKED:
            raise EncryptedFileError("the PDF needs a password; save it without one") from error
        raise UnreadableFileError("the PDF is damaged and cannot be opened") from error


def _page_text(document: pypdfium2.PdfDocument, index: int) -> list[str]:
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return []  # a damaged page among good ones; a file of nothing else ends as NO_TEXT
    try:
        textpage = page.get_textpage()
        try:
            text = textpage.get_text_range()
        finally:
            textpage.close()
    except pypdfium2.PdfiumError:
        return []
    finally:
        page.close()
    joined = _SPLIT_WORD.sub("", text)
    return [line.rstrip() for line in normalised(joined).split("\n")]


def _without_repeated_edges(pages: Sequence[list[str]]) -> list[list[str]]:
    """Pages without running heads and feet, which would cut sentences in two.

    Such a line stands at the edge of most pages, page numbers aside. Its first page keeps it.
    """
    edges = [_edges(lines) for lines in pages]
    counts = Counter(key for page in edges for key in set(page.values()))
    least = max(2, round(len(pages) * 0.6))
    repeated = {key for key, count in counts.items() if count >= least}
    seen: set[str] = set()
    kept = []
    for lines, page in zip(pages, edges, strict=True):
        dropped = {i for i, key in page.items() if key in repeated and key in seen}
        seen.update(page.values())
        kept.append([line for i, line in enumerate(lines) if i not in dropped])
    return kept


def _edges(lines: Sequence[str]) -> dict[int, str]:
    """The outermost lines of a page by their index, with their numbers made equal."""
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if len(filled) <= 2 * _EDGE_LINES:
        return {}
    outer = (*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:])
    return {i: _DIGITS.sub("#", one_line(lines[i])) for i in outer}


def _bookmarks(document: pypdfium2.PdfDocument) -> list[_Bookmark]:
    found: list[_Bookmark] = []
    for item in document.get_toc(max_depth=9):
        if len(found) == _MAX_BOOKMARKS:
            break
        target = item.get_dest()
        page = target.get_index() if target is not None else None
        title = one_line(item.get_title())
        if page is not None and title:
            found.append(_Bookmark(page, item.level + 1, title))
    return found


def _mark_headings(
    builder: TextBuilder, span: Span, text: str, bookmarks: Sequence[_Bookmark]
) -> None:
    """Name the lines of a page that repeat its bookmarks' words."""
    lines = []
    start = 0
    for line in text.split("\n"):
        lines.append((start, one_line(line)))
        start += len(line) + 1
    position = 0
    for bookmark in bookmarks:
        for index in range(position, len(lines)):
            end = _matches(lines, index, bookmark.title)
            if end:
                first = lines[index][0]
                last = lines[end][0] - 1 if end < len(lines) else len(text)
                found = Span(first, last).shifted(span.start)
                builder.mark_heading(found, bookmark.level, bookmark.title)
                position = end
                break


def _matches(lines: Sequence[tuple[int, str]], index: int, title: str) -> int:
    """The line after a heading of these words that starts at `index`, or 0; it may wrap once."""
    words = lines[index][1]
    if words and words in {title, title.partition(" ")[2]}:
        return index + 1
    if words and title.startswith(words) and index + 1 < len(lines):
        return index + 2 if f"{words} {lines[index + 1][1]}" == title else 0
    return 0


def _title(document: pypdfium2.PdfDocument) -> str:
    title = one_line(document.get_metadata_value("Title"))
    return "" if _USELESS_TITLE.fullmatch(title) else title


def _first_title(builder: TextBuilder, bookmarks: Sequence[_Bookmark]) -> str:
    """The only heading of the top level, when there is just one, names the document."""
    top = [heading.title for heading in builder.headings if heading.level == 1]
    return top[0] if len(top) == 1 and len(bookmarks) > 1 else ""
