"""What DOCX becomes, and how bad packages are refused."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import docx
import pytest
from docx.oxml import OxmlElement

from ragmesh.core.errors import HostileFileError, NoTextError, UnreadableFileError
from ragmesh.indexing.parser import archives
from tests.unit.indexing.parser.reads import FILES, lines, outline, read
from tests.unit.indexing.parser.samples import repacked, word

WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MARKUP = "http://schemas.openxmlformats.org/markup-compatibility/2006"


def simple_word() -> bytes:
    document = docx.Document()
    document.add_heading("Tides", 1)
    document.add_paragraph("The tide turns at noon.")
    return word(document)


def test_a_word_document_keeps_headings_lists_and_tables_in_order() -> None:
    document = docx.Document()
    document.add_heading("Winter", 1)
    document.add_paragraph("Snow is cleared.")
    document.add_paragraph("Shovel", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, value in zip(
        [*table.rows[0].cells, *table.rows[1].cells], ["Rank", "Area", "1", "Ramp"], strict=True
    ):
        cell.text = value
    extraction = read(word(document))
    assert extraction.text == "Winter\n\nSnow is cleared.\n\n- Shovel\n\nRank: 1; Area: Ramp"
    assert outline(extraction) == [(1, "Winter", "Winter")]
    assert lines(extraction) == ["- Shovel", "Rank: 1; Area: Ramp"]
    assert extraction.title == "Winter"


def test_deleted_words_of_a_tracked_change_are_not_read() -> None:
    part = (
        b'<w:p><w:del w:id="1" w:author="a"><w:r><w:t>gone</w:t></w:r></w:del>'
        b'<w:ins w:id="2" w:author="a"><w:r><w:t>stays</w:t></w:r></w:ins></w:p><w:sectPr'
    )
    archive = simple_word()
    opened = docx.Document(io.BytesIO(archive))
    xml = opened.part.blob.replace(b"<w:sectPr", part, 1)
    text = read(repacked(archive, {"word/document.xml": xml})).text
    assert "stays" in text
    assert "gone" not in text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_word_document_that_declares_entities_is_hostile(encoding: str) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'.encode(encoding)
    with pytest.raises(HostileFileError):
        read(repacked(simple_word(), {"word/styles.xml": bomb}))


def test_a_doctype_cut_in_two_by_a_block_is_still_found() -> None:
    padding = b"<x>" + b" " * ((1 << 20) - 8)
    with pytest.raises(HostileFileError):
        read(repacked(simple_word(), {"word/extra.xml": padding + b"<!DOCTYPE x><x/>"}))


def test_a_zip_bomb_is_refused_by_what_it_unpacks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_XML", 100_000)
    with pytest.raises(HostileFileError):
        read(repacked(simple_word(), {"word/document.xml": b" " * 200_000}))


def test_a_truncated_word_document_is_unreadable() -> None:
    with pytest.raises(UnreadableFileError):
        read(simple_word()[:2_000])


def test_an_empty_word_document_has_no_text() -> None:
    with pytest.raises(NoTextError):
        read(word(docx.Document()))


def test_heads_and_feet_of_pages_are_kept_once_around_the_body() -> None:
    document = docx.Document()
    document.add_paragraph("The body.")
    for section in (document.sections[0], document.add_section()):
        section.header.paragraphs[0].text = "Harbour office"
        section.footer.paragraphs[0].text = "Confidential"
    assert read(word(document)).text == "Harbour office\n\nThe body.\n\nConfidential"


def test_merged_cells_keep_every_row_readable_under_its_header() -> None:
    document = docx.Document()
    table = document.add_table(3, 3)
    rows = [["Port", "Tide", "Time"], ["Elsewhere", "high", "6:00"], ["", "low", "12:00"]]
    for row, values in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    table.cell(1, 0).merge(table.cell(2, 0))
    assert lines(read(word(document))) == [
        "Port: Elsewhere; Tide: high; Time: 6:00",
        "Port: Elsewhere; Tide: low; Time: 12:00",
    ]


def with_body(xml: str) -> bytes:
    """A Word document with this at the end of its body."""
    archive = simple_word()
    part = docx.Document(io.BytesIO(archive)).part.blob
    names = f'xmlns:mc="{MARKUP}" xmlns:w="{WORDS}"'
    body = f"<w:sdt {names}>{xml}</w:sdt><w:sectPr".encode()
    return repacked(archive, {"word/document.xml": part.replace(b"<w:sectPr", body, 1)})


def cell(words: str) -> str:
    return f"<w:tc><w:p><w:r><w:t>{words}</w:t></w:r></w:p></w:tc>"


def test_rows_and_cells_in_content_controls_are_rows_and_cells() -> None:
    held = "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>".format
    rows = [f"<w:tr>{cell('Port')}{cell('High')}</w:tr>"]
    rows += [held(held(f"<w:tr>{cell(port)}{held(cell('4.1'))}</w:tr>")) for port in "AB"]
    table = f"<w:tbl>{''.join(rows)}</w:tbl>"
    assert lines(read(with_body(table))) == ["Port: A; High: 4.1", "Port: B; High: 4.1"]


def test_a_text_box_in_a_cell_is_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p></w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent>"
    )
    row = f"<w:tr><w:tc><w:p><w:r><w:t>Port</w:t>{both}</w:r></w:p></w:tc>{cell('High')}</w:tr>"
    assert lines(read(with_body(f"<w:tbl>{row}</w:tbl>"))) == ["Port Boxed; High"]


def test_a_table_in_a_cell_is_words_of_that_cell() -> None:
    inner = f"<w:tbl><w:tr>{cell('in')}{cell('side')}</w:tr></w:tbl>"
    row = f"<w:tr><w:tc>{inner}<w:p/></w:tc>{cell('beside')}</w:tr>"
    assert lines(read(with_body(f"<w:tbl>{row}</w:tbl>"))) == ["in side; beside"]


def test_footnotes_follow_the_body() -> None:
    notes = (
        '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        '<w:footnote w:id="0" w:type="separator"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>In winter only.</w:t></w:r></w:p></w:footnote>'
        "</w:footnotes>"
    )
    archive = simple_word()
    opened = docx.Document(io.BytesIO(archive))
    relation = (
        '<Relationship Id="rId99" Target="footnotes.xml" Type="http://schemas.openxmlformats.org'
        '/officeDocument/2006/relationships/footnotes"/></Relationships>'
    )
    listing = opened.part.rels.xml.replace(b"</Relationships>", relation.encode())
    parts = {"word/footnotes.xml": notes.encode(), "word/_rels/document.xml.rels": listing}
    text = read(repacked(archive, parts)).text
    assert text.endswith("The tide turns at noon.\n\n[2] In winter only.")


def test_a_word_document_says_who_wrote_it_when_and_what_its_pictures_show() -> None:
    document = docx.Document()
    document.add_paragraph("Words.")
    document.core_properties.author = "Ada Quay"
    document.core_properties.created = datetime(2024, 5, 1, 8, tzinfo=UTC)
    document.core_properties.language = "en-GB"
    drawing = OxmlElement("w:drawing")
    inline = OxmlElement("wp:inline")
    named = OxmlElement("wp:docPr", {"descr": "A map of the quay"})
    inline.append(named)
    inline.append(OxmlElement("pic:pic"))
    drawing.append(inline)
    document.paragraphs[0].runs[0]._element.append(drawing)
    properties = read(word(document)).properties
    assert (properties.author, properties.language) == ("Ada Quay", "en-GB")
    assert properties.created == "2024-05-01T08:00:00Z"
    assert (properties.images, properties.image_names) == (1, ("A map of the quay",))


def test_a_chart_becomes_rows_of_its_numbers() -> None:
    with zipfile.ZipFile(FILES / "deck.pptx") as deck:
        (name,) = (part for part in deck.namelist() if part.startswith("ppt/charts/chart"))
        chart = deck.read(name)
    archive = simple_word()
    opened = docx.Document(io.BytesIO(archive))
    space = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relation = f'<Relationship Id="rId99" Target="chart.xml" Type="{space}/chart"/></Relationships>'
    shown = (
        '<w:p><w:r><w:drawing><c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/'
        f'chart" xmlns:r="{space}" r:id="rId99"/></w:drawing></w:r></w:p><w:sectPr'
    )
    parts = {
        "word/chart.xml": chart,
        "word/_rels/document.xml.rels": opened.part.rels.xml.replace(
            b"</Relationships>", relation.encode()
        ),
        "word/document.xml": opened.part.blob.replace(b"<w:sectPr", shown.encode(), 1),
    }
    assert lines(read(repacked(archive, parts))) == ["May; Ships: 12", "June; Ships: 19"]


def test_a_package_is_told_by_its_parts_whatever_it_is_called() -> None:
    extraction = read(simple_word(), "scan.pdf", "application/pdf")
    assert extraction.content_type.endswith("wordprocessingml.document")


def test_xml_nested_without_end_is_hostile() -> None:
    start = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    deep = start + b"<w:p>" * 5_000 + b"</w:p>" * 5_000 + b"</w:document>"
    with pytest.raises(HostileFileError):
        read(repacked(simple_word(), {"word/document.xml": deep}))
