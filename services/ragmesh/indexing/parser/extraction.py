"""One file to its text: the kind is told by the bytes, the parser by the kind.

A parser is imported when it is first asked for. In a parser process the warm-up does that, so that
it holds the libraries of its family of kinds and no others.
"""

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
from ragmesh.indexing.parser.kinds import Family, SourceKind, foreign_name, kind_of
from ragmesh.indexing.parser.languages import LANGUAGES, shown_language

READABLE = "PDF, DOCX, PPTX, XLSX, ODT, RTF, HTML, Markdown, CSV, JSON, EML and plain text are read"


Reader = Callable[[bytes], Extraction]

_NEVER_OF_A_FILE = (NameError, ImportError)
"""What no content can raise: a slip of ours, or a module that was not loaded before the seal."""


def load(family: Family) -> None:
    """Import the parsers of every kind in the family."""
    for kind, loader in _LOADERS.items():
        if kind.family is family:
            loader()


def extract(source: SourceFile) -> Extraction:
    """The text of a file; every file ends in text or in one of the reading errors.

    Whatever else is raised is a defect of the process and no verdict on the file.
    """
    kind = kind_of(source)
    try:
        extraction = _LOADERS[kind]()(source.content)
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


def _pdf() -> Reader:
    from ragmesh.indexing.parser.pdf import read_pdf

    return read_pdf


def _package() -> Reader:
    from ragmesh.indexing.parser.office import read_package

    return read_package


def _ole() -> Reader:
    from ragmesh.indexing.parser.ole import read_ole

    return read_ole


def _rich_text() -> Reader:
    from ragmesh.indexing.parser.rich_text import read_rich_text

    return read_rich_text


def _mail() -> Reader:
    from ragmesh.indexing.parser.mail import read_mail

    return read_mail


def _markup() -> Reader:
    from ragmesh.indexing.parser.markup import read_markup

    return read_markup


def _markdown() -> Reader:
    from ragmesh.indexing.parser.decoding import decoded
    from ragmesh.indexing.parser.markdown import read_markdown

    return lambda content: read_markdown(decoded(content))


def _sheet() -> Reader:
    from ragmesh.indexing.parser.decoding import decoded
    from ragmesh.indexing.parser.sheets import read_sheet

    return lambda content: read_sheet(decoded(content))


def _text() -> Reader:
    from ragmesh.indexing.parser.decoding import decoded
    from ragmesh.indexing.parser.plain import read_plain
    from ragmesh.indexing.parser.structured import read_structured

    def read_text(content: bytes) -> Extraction:
        text = decoded(content)
        return read_structured(text) or read_plain(text)

    return read_text


def _other() -> Reader:
    def refuse(content: bytes) -> Extraction:
        raise UnsupportedFormatError(f"{foreign_name(content)}; {READABLE}")

    return refuse


_LOADERS: dict[SourceKind, Callable[[], Reader]] = {
    SourceKind.PDF: _pdf,
    SourceKind.ZIP: _package,
    SourceKind.OLE: _ole,
    SourceKind.RTF: _rich_text,
    SourceKind.MAIL: _mail,
    SourceKind.HTML: _markup,
    SourceKind.MARKDOWN: _markdown,
    SourceKind.CSV: _sheet,
    SourceKind.TEXT: _text,
    SourceKind.OTHER: _other,
}
