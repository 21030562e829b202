"""The promises of chunks hold for whatever any format yields."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh.core.errors import NoTextError
from ragmesh.core.reading import SourceFile
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.samples import (
    SLIDES_TYPE,
    WORD_TYPE,
    WORKBOOK_TYPE,
    office_package,
    packed,
    relations,
)
from tests.unit.indexing.parser.samples import drawn_pdf, placed
from tests.unit.indexing.parser.test_chunker import check, chunks_of

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def _xml(text: str) -> str:
    return escape("".join(c for c in text if c in "\t\n" or (c >= " " and c not in "\ufffe\uffff")))


def as_text(parts: list[str]) -> bytes:
    return "\n\n".join(parts).encode()


def as_utf16(parts: list[str]) -> bytes:
    return b"\xff\xfe" + "\n\n".join(parts).encode("utf-16-le")


def as_page(parts: list[str]) -> bytes:
    body = "".join(f"<h2>{_xml(part)[:40]}</h2><p>{_xml(part)}</p>" for part in parts)
    return f"<html><body>{body}</body></html>".encode()


def as_json(parts: list[str]) -> bytes:
    return json.dumps({"parts": [{"text": part} for part in parts]}).encode()


def as_mail(parts: list[str]) -> bytes:
    head = "From: a@b\nTo: c@d\nSubject: s\nMIME-Version: 1.0\n"
    kind = 'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: 8bit\n\n'
    return (head + kind + "\n\n".join(parts)).encode()


def as_rich_text(parts: list[str]) -> bytes:
    def unit(number: int) -> str:
        return f"\\u{number - 65536 if number > 32767 else number}?"

    words = []
    for part in parts:
        raw = part.encode("utf-16-le")
        units = (int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2))
        words.append("".join(map(unit, units)))
    return ("{\\rtf1\\ansi " + "\\par ".join(words) + "}").encode()


def as_word(parts: list[str]) -> bytes:
    body = "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{_xml(part)}</w:t></w:r></w:p>' for part in parts
    )
    document = f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    return office_package("word/document.xml", WORD_TYPE, {"word/document.xml": document})


def as_slides(parts: list[str]) -> bytes:
    main, slides, targets, listed = "ppt/presentation.xml", {}, {}, ""
    for number, part in enumerate(parts):
        words = f'<p:txBody><a:p xmlns:a="{_A}"><a:r><a:t>{_xml(part)}</a:t></a:r></a:p></p:txBody>'
        tree = f"<p:cSld><p:spTree><p:sp>{words}</p:sp></p:spTree></p:cSld>"
        slides[f"ppt/slides/s{number}.xml"] = f'<p:sld xmlns:p="{_P}">{tree}</p:sld>'
        targets[f"r{number}"] = ("slide", f"slides/s{number}.xml")
        listed += f'<p:sldId r:id="r{number}" xmlns:r="{_R}"/>'
    deck = f'<p:presentation xmlns:p="{_P}"><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>'
    rels = {"ppt/_rels/presentation.xml.rels": relations(targets)}
    return office_package(main, SLIDES_TYPE, {main: deck, **rels, **slides})


def as_workbook(parts: list[str]) -> bytes:
    texts = (f'<is><t xml:space="preserve">{_xml(part)}</t></is>' for part in parts)
    rows = "".join(
        f'<row r="{n}"><c r="A{n}" t="inlineStr">{text}</c><c r="B{n}"><v>{n}</v></c></row>'
        for n, text in enumerate(texts, start=1)
    )
    sheet = f'<sheets><sheet name="s" sheetId="1" r:id="r1" xmlns:r="{_R}"/></sheets>'
    return office_package(
        "xl/workbook.xml",
        WORKBOOK_TYPE,
        {
            "xl/workbook.xml": f'<workbook xmlns="{_S}">{sheet}</workbook>',
            "xl/_rels/workbook.xml.rels": relations({"r1": ("worksheet", "s.xml")}),
            "xl/s.xml": f'<worksheet xmlns="{_S}"><sheetData>{rows}</sheetData></worksheet>',
        },
    )


def as_open_text(parts: list[str]) -> bytes:
    body = "".join(f"<t:h>{_xml(part)[:30]}</t:h><t:p>{_xml(part)}</t:p>" for part in parts)
    content = (
        f'<o:document-content xmlns:o="{_ODF}:office:1.0" xmlns:t="{_ODF}:text:1.0"><o:body>'
        f"<o:text>{body}</o:text></o:body></o:document-content>"
    )
    return packed({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})


def as_pdf(parts: list[str]) -> bytes:
    latin = ["".join(c for c in part if " " <= c <= "~" and c not in "()\\") for part in parts]
    return drawn_pdf([placed(part, 40, 700) for part in latin])


FORMATS: dict[str, Callable[[list[str]], bytes]] = {
    "a.txt": as_text,
    "a.md": as_text,
    "a.csv": as_text,
    "utf16.txt": as_utf16,
    "a.html": as_page,
    "a.json": as_json,
    "a.eml": as_mail,
    "a.rtf": as_rich_text,
    "a.docx": as_word,
    "a.pptx": as_slides,
    "a.xlsx": as_workbook,
    "a.odt": as_open_text,
    "a.pdf": as_pdf,
}
PARTS = st.lists(
    st.text(
        st.one_of(
            st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]),
            st.sampled_from(" \t.,;:#-=|eA漢\u0301\u0327\u1112\u1161\u11ab"),
            st.sampled_from("\U0001f469\u200d\U0001f33e"),
        ),
        min_size=1,
        max_size=300,
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("filename", FORMATS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(PARTS, st.sampled_from([(16, 0), (40, 8)]))
def test_chunks_of_every_format_are_parts_of_its_text_and_leave_nothing_out(
    filename: str, parts: list[str], sizes: tuple[int, int]
) -> None:
    try:
        extraction = extract(SourceFile(FORMATS[filename](parts), filename))
    except NoTextError:
        return
    assert unicodedata.is_normalized("NFC", extraction.text)
    chunks = chunks_of(extraction, max_tokens=sizes[0], overlap_tokens=sizes[1])
    check(extraction, chunks, sizes[0])


@pytest.mark.parametrize("filename", [name for name in FORMATS if name not in {"a.pdf", "a.csv"}])
@pytest.mark.parametrize(
    "word", ["e\u0301t\u0327", "\U0001f469\u200d\U0001f33e", "\u1112\u1161\u11ab", "\U00020000漢"]
)
def test_no_format_loses_letters_of_any_plane(filename: str, word: str) -> None:
    sentence = f"The word {word} stands here and there, and {word} stands at the end."
    extraction = extract(SourceFile(FORMATS[filename]([sentence, "More."]), filename))
    assert extraction.text.count(unicodedata.normalize("NFC", word)) >= 2
