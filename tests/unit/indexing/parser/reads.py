"""Reads files as the parser process does, and says what came of them."""

from __future__ import annotations

from pathlib import Path

from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser.extraction import extract

FILES = Path(__file__).with_name("files")
"""Files that programs other than ours have written."""


def read(content: bytes | str, filename: str = "", content_type: str = "") -> Extraction:
    raw = content.encode() if isinstance(content, str) else content
    return extract(SourceFile(raw, filename, content_type))


def outline(extraction: Extraction) -> list[tuple[int, str, str]]:
    """Level, title and source words of every heading."""
    text = extraction.text
    return [(h.level, h.title, h.span.of(text)) for h in extraction.headings]


def lines(extraction: Extraction) -> list[str]:
    """Every line that stands for itself."""
    return [
        line
        for region in extraction.line_regions
        for line in region.of(extraction.text).split("\n")
    ]
