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
from ragmesh.core.properties import FileProperties
from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser.builder import one_line
from ragmesh.indexing.parser.decoding import decoded
from ragmesh.indexing.parser.kinds import SourceKind, foreign_name, kind_of
from ragmesh.indexing.parser.languages import LANGUAGES, shown_language
from ragmesh.indexing.parser.mail import read_mail
from ragmesh.indexing.parser.markdown import read_markdown
from ragmesh.indexing.parser.markup import read_markup
from ragmesh.indexing.parser.office import read_package
from ragmesh.indexing.parser.ole import read_ole
from ragmesh.indexing.parser.pdf import read_pdf
from ragmesh.indexing.parser.plain import read_plain
from ragmesh.indexing.parser.rich_text import read_rich_text
from ragmesh.indexing.parser.sheets import read_sheet
from ragmesh.indexing.parser.structured import read_structured

READABLE = "PDF, DOCX, PPTX, XLSX, ODT, RTF, HTML, Markdown, CSV, JSON, EML and plain text are read"


_NEVER_OF_A_FILE = (NameError, ImportError)
"""What no content can raise: a slip of ours, or a module that was not loaded before the seal."""


def extract(source: SourceFile) -> Extraction:
    """The text of a file; every file ends in text or in one of the reading errors.

    Whatever else is raised is a defect of the process and no verdict on the file.
    """
    kind = kind_of(source)
    try:
        extraction = _READERS[kind](source.content)
    except (RagmeshError, MemoryError, *_NEVER_OF_A_FILE):
        raise
    except RecursionError as error:
        raise HostileFileError("the file is nested far too deep") from error
    except Exception as error:
        # Parsers of foreign formats raise whatever their code happens to hit.
        raise UnreadableFileError(
            f"the file is damaged, or not what it claims to be ({type(error).__name__})"
        ) from error
    return replace(
        extraction,
        title=extraction.title or one_line(PurePath(source.filename).stem),
        properties=_with_language(extraction),
    )


def _with_language(extraction: Extraction) -> FileProperties:
    """The properties with the language that the words show, where the file names none.

    What a file names is often only what its program was set to: words of another language count
    more, if both are among those that can be told apart.
    """
    properties = extraction.properties
    named = properties.language.partition("-")[0].lower()
    shown = shown_language(extraction.text)
    if not shown or named == shown or (named and named not in LANGUAGES):
        return properties
    return replace(properties, language=shown)


def _text(content: bytes) -> Extraction:
    text = decoded(content)
    return read_structured(text) or read_plain(text)


def _other(content: bytes) -> Extraction:
    raise UnsupportedFormatError(f"{foreign_name(content)}; {READABLE}")


_READERS: dict[SourceKind, Callable[[bytes], Extraction]] = {
    SourceKind.PDF: read_pdf,
    SourceKind.ZIP: read_package,
    SourceKind.OLE: read_ole,
    SourceKind.RTF: read_rich_text,
    SourceKind.MAIL: read_mail,
    SourceKind.HTML: read_markup,
    SourceKind.MARKDOWN: lambda content: read_markdown(decoded(content)),
    SourceKind.CSV: lambda content: read_sheet(decoded(content)),
    SourceKind.TEXT: _text,
    SourceKind.OTHER: _other,
}
