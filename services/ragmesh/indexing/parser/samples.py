"""One tiny file of every kind, each of which a parser must read before the walls go up."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping

from ragmesh.core.reading import SourceFile

WORDS = "Warm up the reader with enough words to be taken for the text of a page. "

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
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"
_FORMAT = "application/vnd.openxmlformats-officedocument"

WORD_TYPE = f"{_FORMAT}.wordprocessingml.document.main+xml"
SLIDES_TYPE = f"{_FORMAT}.presentationml.presentation.main+xml"
WORKBOOK_TYPE = f"{_FORMAT}.spreadsheetml.sheet.main+xml"


def samples() -> Iterator[SourceFile]:
    """Every kind once, each with the words `arm up`."""
    page = f"<html><title>t</title><body><article><h1>t</h1><p>{WORDS * 9}</p></article></html>"
    yield SourceFile(_PDF, "warm.pdf")
    yield SourceFile(_word(), "warm.docx")
    yield SourceFile(_slides(), "warm.pptx")
    yield SourceFile(_workbook(), "warm.xlsx")
    yield SourceFile(_open_text(), "warm.odt")
    yield SourceFile(b"{\\rtf1\\ansi\\ansicpg1252 Warm up\\par}", "warm.rtf")
    yield SourceFile(_message(), "warm.eml")
    yield SourceFile(page.encode(), "warm.html")
    yield SourceFile(b"# Warm up\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "warm.md")
    yield SourceFile(b"a,b\nWarm up,2\n", "warm.csv")
    yield SourceFile(b'{"a": "Warm up"}', "warm.json")
    yield SourceFile("Warm up, Überfahrt nach Grömsiel, größere Fähre".encode("cp1252"), "warm.txt")


def office_package(main: str, content_type: str, parts: Mapping[str, str]) -> bytes:
    """An Office file whose main part is the one named, with these parts in it."""
    types = f'<Override PartName="/{main}" ContentType="{content_type}"/>'
    return packed(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">{types}</Types>',
            "_rels/.rels": relations({"r1": ("officeDocument", main)}),
            **parts,
        }
    )


def relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """A part that refers to others: kind and target by name."""
    rows = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{rows}</Relationships>'


def packed(parts: Mapping[str, str]) -> bytes:
    """A ZIP archive of these parts."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in parts.items():
            opened.writestr(name, text)
    return archive.getvalue()


def _word() -> bytes:
    paragraph = "<w:p><w:r><w:t>Warm up</w:t></w:r></w:p>"
    table = f"<w:tbl><w:tr><w:tc>{paragraph}</w:tc></w:tr></w:tbl>"
    body = f'<w:document xmlns:w="{_W}"><w:body>{paragraph}{table}</w:body></w:document>'
    return office_package("word/document.xml", WORD_TYPE, {"word/document.xml": body})


def _slides() -> bytes:
    words = f'<p:txBody xmlns:a="{_A}"><a:p><a:r><a:t>Warm up</a:t></a:r></a:p></p:txBody>'
    shapes = f"<p:cSld><p:spTree><p:sp>{words}</p:sp></p:spTree></p:cSld>"
    slide = f'<p:sld xmlns:p="{_P}">{shapes}</p:sld>'
    deck = f'<p:sldIdLst><p:sldId id="256" r:id="r1" xmlns:r="{_OFFICE}"/></p:sldIdLst>'
    main = "ppt/presentation.xml"
    parts = {
        main: f'<p:presentation xmlns:p="{_P}">{deck}</p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations({"r1": ("slide", "slides/slide1.xml")}),
        "ppt/slides/slide1.xml": slide,
    }
    return office_package(main, SLIDES_TYPE, parts)


def _workbook() -> bytes:
    cell = '<c r="A1" t="inlineStr"><is><t>Warm up</t></is></c>'
    sheet = f'<sheets><sheet name="s" sheetId="1" r:id="r1" xmlns:r="{_OFFICE}"/></sheets>'
    main = "xl/workbook.xml"
    parts = {
        main: f'<workbook xmlns="{_S}">{sheet}</workbook>',
        "xl/_rels/workbook.xml.rels": relations({"r1": ("worksheet", "worksheets/sheet1.xml")}),
        "xl/worksheets/sheet1.xml": (
            f'<worksheet xmlns="{_S}"><sheetData><row r="1">{cell}</row></sheetData></worksheet>'
        ),
    }
    return office_package(main, WORKBOOK_TYPE, parts)


def _open_text() -> bytes:
    body = f'<text:p xmlns:text="{_ODF}:text:1.0">Warm up</text:p>'
    content = (
        f'<office:document-content xmlns:office="{_ODF}:office:1.0">'
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    return packed({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})


def _message() -> bytes:
    fields = "From: a@example.org\r\nTo: b@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n"
    kind = 'Content-Type: text/html; charset="iso-8859-1"\r\nContent-Transfer-Encoding: base64\r\n'
    return f"{fields}{kind}\r\nPHA+V2FybSB1cDwvcD4=\r\n".encode()
