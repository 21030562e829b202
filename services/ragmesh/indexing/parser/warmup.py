"""Imports and runs every parser once, so that nothing is left to be loaded behind the walls."""

from __future__ import annotations

import encodings
import importlib
import io
import pkgutil

import docx
import sentencex
from trafilatura.external import jt_stoplist_init

from ragmesh.core.reading import SourceFile
from ragmesh.indexing.parser.extraction import extract

_WORDS = "Warm up the reader with enough words to be taken for the text of a page. "
_WINDOWS_ONLY = {"mbcs", "oem"}
_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>
endobj
4 0 obj<</Length 38>>stream
BT /F 12 Tf 9 50 Td (Warm up) Tj ET   
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
"""


def warm_up() -> None:
    """Read one sample of every kind; a parser that does not work ends the process here."""
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in _WINDOWS_ONLY:
            # charset_normalizer silently rules out an encoding that it cannot import.
            importlib.import_module(f"encodings.{module.name}")
    jt_stoplist_init()  # trafilatura would read its stop lists at the first poor page
    sentencex.get_sentence_boundaries("en", _WORDS)
    for sample in _samples():
        if "arm up" not in extract(sample).text:
            raise RuntimeError(f"the parser of {sample.filename} does not work")


def _samples() -> list[SourceFile]:
    document = docx.Document()  # reads its template from disk
    document.add_heading("Warm up", 1)
    document.add_table(1, 1).cell(0, 0).text = "cell"
    packed = io.BytesIO()
    document.save(packed)
    page = f"<html><title>t</title><body><article><h1>t</h1><p>{_WORDS * 9}</p></article></html>"
    return [
        SourceFile(_PDF, "warm.pdf"),
        SourceFile(packed.getvalue(), "warm.docx"),
        SourceFile(page.encode(), "warm.html"),
        SourceFile(b"# Warm up\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "warm.md"),
        SourceFile(b"a,b\nWarm up,2\n", "warm.csv"),
        SourceFile("Warm up, Überfahrt nach Grömsiel, größere Fähre".encode("cp1252"), "warm.txt"),
    ]
