"""One file to its text: the kind is told by the bytes, the parser by the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath

from ragmesh.core.errors import (
    HostileFileError,
    RagmeshError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser.archives import refuse_ole, require_word
from ragmesh.indexing.parser.builder import one_line
from ragmesh.indexing.parser.decoding import decoded
from ragmesh.indexing.parser.kinds import SourceKind, foreign_name, kind_of
from ragmesh.indexing.parser.markdown import read_markdown
from ragmesh.indexing.parser.markup import read_markup
from ragmesh.indexing.parser.pdf import read_pdf
from ragmesh.indexing.parser.plain import read_plain
from ragmesh.indexing.parser.sheets import read_sheet
from ragmesh.indexing.parser.word import read_word

READABLE = "PDF, DOCX, HTML, Markdown, CSV and plain text are read"


def extract(source: SourceFile) -> Extraction:
    """The text of a file; every file ends in text or in one of the reading errors."""
    kind = kind_of(source)
    try:
        extraction = _READERS[kind](source.content)
    except (RagmeshError, MemoryError):
        raise
    except RecursionError as error:
        raise HostileFileError("the file is nested far too deep") from error
    except Exception as error:
        # Parsers of foreign formats raise whatever their code happens to hit.
        raise UnreadableFileError(
            f"the file is damaged, or not what it claims to be ({type(error).__name__})"
        ) from error
    if extraction.title:
        return extraction
    return replace(extraction, title=one_line(PurePath(source.filename).stem))


def _zip(content: bytes) -> Extraction:
    require_word(content)
    return read_word(content)


def _ole(content: bytes) -> Extraction:
    refuse_ole(content)


def _other(content: bytes) -> Extraction:
    raise UnsupportedFormatError(f"{foreign_name(content)}; {READABLE}")


_READERS: dict[SourceKind, Callable[[bytes], Extraction]] = {
    SourceKind.PDF: read_pdf,
    SourceKind.ZIP: _zip,
    SourceKind.OLE: _ole,
    SourceKind.HTML: read_markup,
    SourceKind.MARKDOWN: lambda content: read_markdown(decoded(content)),
    SourceKind.CSV: lambda content: read_sheet(decoded(content)),
    SourceKind.TEXT: lambda content: read_plain(decoded(content)),
    SourceKind.OTHER: _other,
}
