"""PDF by pdfium: text by page in reading order, ruled tables as rows, bookmarks as headings."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import pypdfium2
from pypdfium2 import raw

from ragmesh.core.errors import EncryptedFileError, NoTextError, UnreadableFileError
from ragmesh.core.properties import FileProperties
from ragmesh.core.reading import Extraction
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.builder import TextBuilder, normalised, one_line
from ragmesh.indexing.parser.pdf_forms import open_form
from ragmesh.indexing.parser.pdf_page import PageContent, PageReader
from ragmesh.indexing.parser.properties import file_properties
from ragmesh.indexing.parser.rows import table_lines

CONTENT_TYPE = "application/pdf"

_SPLIT_WORD = re.compile(r"[\u0002\ufffe\u00ad]\r?\n")
_NUMBER = re.compile(r"\d{1,9}")
_USELESS_TITLE = re.compile(r"(?:microsoft (?:word|powerpoint)\b.*|untitled.*|.*\.\w{2,4})", re.I)
_LOCKED = {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?(Z|[+-]\d\d'?\d\d)?")
_WIDE = ctypes.POINTER(raw.FPDF_WCHAR)
_MAX_LANGUAGE_BYTES = 200
_EDGE_LINES = 2
_MAX_NUMBERS = 8
_MAX_BOOKMARKS = 5_000


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page; `row` when it is a row of a table or a field of a form."""

    text: str
    row: bool = False


@dataclass(frozen=True, slots=True)
class _Bookmark:
    page: int
    level: int
    title: str


def read_pdf(content: bytes) -> Extraction:
    """The text of every page, without the head and foot lines that pages repeat."""
    document = _open(content)
    try:
        open_form(document)
        reader = PageReader()
        contents = [_content(document, index, reader) for index in range(len(document))]
        bookmarks = _bookmarks(document)
        title = _title(document)
        properties = _properties(document, [content.images for content in contents])
    finally:
        document.close()
    builder = TextBuilder()
    pages = [list(_lines(content)) for content in contents]
    for number, lines in enumerate(_without_repeated_edges(pages)):
        builder.page()
        _add(builder, lines, [b for b in bookmarks if b.page == number])
    try:
        return builder.extraction(
            title=title or _first_title(builder, bookmarks),
            content_type=CONTENT_TYPE,
            properties=properties,
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


def _content(document: pypdfium2.PdfDocument, index: int, reader: PageReader) -> PageContent:
    """What a page holds; a damaged page among good ones holds nothing."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return PageContent()
    try:
        return reader.read(page)
    except pypdfium2.PdfiumError:
        return PageContent()
    finally:
        page.close()


def _lines(content: PageContent) -> Iterator[_Line]:
    for part in content.parts:
        if part.rows:
            yield from (_Line(line, row=True) for line in table_lines(part.rows))
        else:
            text = normalised(_SPLIT_WORD.sub("", part.text))
            yield from (_Line(line.rstrip()) for line in text.split("\n"))
    for label, value in content.fields:
        yield _Line(one_line(f"{label}: {value}" if label else value), row=True)


def _add(builder: TextBuilder, lines: Sequence[_Line], bookmarks: list[_Bookmark]) -> None:
    """Add a page: running text as paragraphs, tables as lines."""
    for row, group in groupby(lines, key=lambda line: line.row):
        texts = [line.text for line in group]
        if row:
            builder.lines(texts)
            continue
        span = builder.paragraph("\n".join(texts))
        if span is not None:
            text = normalised("\n".join(texts)).strip("\n")
            bookmarks = _mark_headings(builder, span, text, bookmarks)


def _without_repeated_edges(pages: Sequence[list[_Line]]) -> list[list[_Line]]:
    """Pages without running heads and feet, which would cut sentences in two.

    Such a line stands at the edge of most pages, page numbers aside. Its first page keeps it.
    """
    edges = [_edges(lines, number) for number, lines in enumerate(pages)]
    counts = Counter(key for page in edges for key in frozenset().union(*page.values()))
    least = max(2, round(len(pages) * 0.6))
    repeated = {key for key, count in counts.items() if count >= least}
    seen: set[str] = set()
    kept = []
    for lines, page in zip(pages, edges, strict=True):
        dropped = {i for i, keys in page.items() if keys & repeated & seen}
        seen.update(*page.values())
        kept.append([line for i, line in enumerate(lines) if i not in dropped])
    return kept


def _edges(lines: Sequence[_Line], page: int) -> dict[int, frozenset[str]]:
    """The outermost lines of a page by their index: by which keys they could be a repeated one."""
    filled = [i for i, line in enumerate(lines) if line.text.strip()]
    if len(filled) <= 2 * _EDGE_LINES:
        return {}
    outer = (*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:])
    return {i: frozenset(_keys(one_line(lines[i].text), page)) for i in outer if not lines[i].row}


def _keys(text: str, page: int) -> Iterator[str]:
    """A line itself, and with each of its numbers as if it were that of the page.

    Numbers are not simply left out: rows of numbers would all be the same line.
    """
    yield text
    for found in islice(_NUMBER.finditer(text), _MAX_NUMBERS):
        yield f"{text[: found.start()]}page + {int(found.group()) - page}{text[found.end() :]}"


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
) -> list[_Bookmark]:
    """Name the lines of a text that repeat its bookmarks' words; the bookmarks not found there."""
    lines = []
    start = 0
    for line in text.split("\n"):
        lines.append((start, one_line(line)))
        start += len(line) + 1
    position = 0
    missing = []
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
        else:
            missing.append(bookmark)
    return missing


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


def _properties(document: pypdfium2.PdfDocument, images: Sequence[int]) -> FileProperties:
    return file_properties(
        author=document.get_metadata_value("Author"),
        created=_date(document.get_metadata_value("CreationDate")),
        modified=_date(document.get_metadata_value("ModDate")),
        language=_language(document),
        images=[
            f"picture {number} on page {page}"
            for page, count in enumerate(images, start=1)
            for number in range(1, count + 1)
        ],
    )


def _date(text: str) -> str:
    """A date of PDF, such as `D:20240501080000+02'00'`, in ISO 8601 as exact as it is."""
    found = _DATE.match(text)
    if found is None:
        return ""
    year, month, day, hour, minute, second, zone = found.groups()
    date = "-".join(part for part in (year, month, day) if part)
    if not (day and hour and minute):
        return date
    zone = (zone or "").replace("'", "")
    return f"{date}T{hour}:{minute}:{second or '00'}{'Z' if zone.startswith('Z') else zone}"


def _language(document: pypdfium2.PdfDocument) -> str:
    size = raw.FPDFCatalog_GetLanguage(document, None, 0)
    if not 2 < size <= _MAX_LANGUAGE_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    raw.FPDFCatalog_GetLanguage(document, ctypes.cast(buffer, _WIDE), size)
    return buffer.raw.decode("utf-16-le", errors="replace").rstrip("\x00")


def _first_title(builder: TextBuilder, bookmarks: Sequence[_Bookmark]) -> str:
    """The only heading of the top level, when there is just one, names the document."""
    top = [heading.title for heading in builder.headings if heading.level == 1]
    return top[0] if len(top) == 1 and len(bookmarks) > 1 else ""
