"""What PPTX, ODT and workbooks become; the files were written by programs other than ours."""

from __future__ import annotations

import struct
import zipfile

import pytest

from ragmesh.core.errors import (
    EncryptedFileError,
    HostileFileError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.indexing.parser.samples import packed
from tests.unit.indexing.parser.reads import FILES, lines, outline, read
from tests.unit.indexing.parser.samples import repacked


def sample(name: str) -> bytes:
    return (FILES / name).read_bytes()


def ole(*names: str) -> bytes:
    """An OLE file with these streams at its root, without content."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 9)
    struct.pack_into("<I", header, 48, 1)
    struct.pack_into("<109I", header, 76, 0, *[0xFFFFFFFF] * 108)
    table = struct.pack("<128I", 0xFFFFFFFD, *[0xFFFFFFFE] * 127)
    entries = b""
    for number, name in enumerate(("Root Entry", *names)):
        entry = bytearray(128)
        raw = name.encode("utf-16-le")
        entry[: len(raw)] = raw
        right = number + 1 if 0 < number < len(names) else 0xFFFFFFFF
        child = 1 if number == 0 and names else 0xFFFFFFFF
        struct.pack_into("<H2x3I", entry, 64, len(raw) + 2, 0xFFFFFFFF, right, child)
        entries += entry
    return bytes(header) + table + entries.ljust(512, b"\x00")


# --- PPTX ---


def test_a_slide_is_a_page_with_its_title_bullets_notes_and_tables() -> None:
    extraction = read(sample("deck.pptx"))
    assert outline(extraction) == [
        (1, "Clearing the quay", "Clearing the quay"),
        (1, "Ranks", "Ranks"),
    ]
    first, second = (extraction.text[start:] for start in extraction.pages)
    assert first.startswith("Clearing the quay")
    assert "Mention the new plough." in first
    assert second.startswith("Ranks")
    assert "- Salt lies in shed four." in lines(extraction)
    assert "Rank: 2; Area: Berth" in lines(extraction)


def test_a_chart_becomes_rows_of_its_numbers() -> None:
    assert {"May; Ships: 12", "June; Ships: 19"} <= set(lines(read(sample("deck.pptx"))))


def test_a_presentation_says_who_made_it_and_what_its_pictures_show() -> None:
    extraction = read(sample("deck.pptx"))
    assert extraction.title == "Winter service"
    properties = extraction.properties
    assert (properties.author, properties.created) == ("Ada Quay", "2024-05-01T08:00:00Z")
    assert (properties.images, properties.image_names) == (1, ("A plough",))


# --- workbooks ---


def test_every_sheet_of_a_workbook_is_a_page_of_rows_under_their_header() -> None:
    extraction = read(sample("book.xlsx"))
    assert [title for _, title, _ in outline(extraction)] == ["Ships", "Notes"]
    assert lines(extraction) == [
        "Delays of May",
        "Ship: Vela; Delay: 48; Day: 2024-05-03",
        "Ship: Lyra; Delay: 1.5; TRUE",
        "Far away",
    ]
    assert len(extraction.pages) == 3
    assert (extraction.title, extraction.properties.author) == ("Delays", "Ada Quay")


@pytest.mark.parametrize(("name", "kind"), [("old.xls", "ms-excel"), ("ships.ods", "opendocument")])
def test_workbooks_of_other_formats_are_read_alike(name: str, kind: str) -> None:
    extraction = read(sample(name))
    assert lines(extraction) == ["Ship: Vela; Delay: 48", "Ship: Lyra; Delay: 12"]
    assert kind in extraction.content_type


def book_of(rows: bytes) -> bytes:
    """A workbook whose first sheet has these rows."""
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (space, rows)
    return repacked(sample("book.xlsx"), {"xl/worksheets/sheet1.xml": sheet})


@pytest.mark.parametrize("quote", [b'"', b"'"])
def test_a_sheet_that_spans_more_cells_than_memory_holds_is_hostile(quote: bytes) -> None:
    near = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(HostileFileError):
        read(book_of((near + far).replace(b'"', quote)))


def test_a_table_between_a_title_and_a_note_keeps_its_header() -> None:
    texts = [["Tides"], ["Port", "High"], ["Elsewhere", "4.1"], ["All in metres"]]
    rows = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in row) + "</row>"
        for row in texts
    )
    assert "Port: Elsewhere; High: 4.1" in lines(read(book_of(rows.encode())))


@pytest.mark.parametrize(
    ("rows", "columns", "empty"),
    [(1_048_576, 16_384, False), (10_000, 1_000, False), (1_048_576, 16_384, True)],
)
def test_cells_that_are_repeated_without_end_are_hostile_unless_they_are_empty(
    rows: int, columns: int, empty: bool
) -> None:
    cell = "/>" if empty else ' office:value-type="string"><text:p>x</text:p></table:table-cell>'
    row = (
        f'<table:table-row table:number-rows-repeated="{rows}"><table:table-cell'
        f' table:number-columns-repeated="{columns}"{cell}</table:table-row></table:table>'
    )
    with zipfile.ZipFile(FILES / "ships.ods") as archive:
        content = archive.read("content.xml")
    content = content.replace(b"</table:table>", row.encode(), 1)
    book = repacked(sample("ships.ods"), {"content.xml": content})
    if empty:
        assert "Vela" in read(book).text
    else:
        with pytest.raises(HostileFileError):
            read(book)


def test_empty_formatted_cells_far_away_are_no_bomb() -> None:
    near = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    far = b'<row r="1048576"><c r="XFD1048576" s="1"/></row>'
    assert "Far away" in read(book_of(near + far)).text


# --- ODT ---


def test_an_open_document_keeps_headings_lists_tables_and_notes_in_order() -> None:
    extraction = read(sample("tides.odt"))
    assert extraction.text == (
        "Tides\n\nThe tide turns at noon.\n\nIn winter time.\n\n- Ebb\n- Flood\n\n"
        "Port: Elsewhere; High: 4.1\nPort: Nowhere; High: 3.8"
    )
    assert outline(extraction) == [(1, "Tides", "Tides")]
    assert extraction.title == "Tide tables"
    properties = extraction.properties
    assert (properties.author, properties.created) == ("Ada Quay", "2024-05-01T08:00:00")
    assert properties.language == "en-GB"


def test_an_encrypted_open_document_is_named_as_such() -> None:
    locked = repacked(
        sample("tides.odt"),
        {"META-INF/manifest.xml": b"<m><encryption-data/></m>", "content.xml": b"\x9a\x01"},
    )
    with pytest.raises(EncryptedFileError):
        read(locked)


def open_text(body: str) -> bytes:
    """An OpenDocument text with this body."""
    names = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = f'xmlns:o="{names}:office:1.0" xmlns:t="{names}:text:1.0" xmlns:b="{names}:table:1.0"'
    content = f"<o:body><o:text>{body}</o:text></o:body>"
    return packed(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<o:document-content {spaces}>{content}</o:document-content>",
        }
    )


def test_runs_of_spaces_cost_no_more_than_they_show() -> None:
    assert len(read(open_text('<t:p>a<t:s t:c="99999999"/>b</t:p>')).text) < 300


def test_a_note_of_an_item_follows_its_list() -> None:
    note = "<t:note><t:note-body><t:p>In winter.</t:p></t:note-body></t:note>"
    listing = f"<t:list><t:list-item><t:p>Ebb{note}</t:p></t:list-item></t:list>"
    assert read(open_text(listing)).text == "- Ebb\n\nIn winter."


def test_an_open_table_in_a_cell_is_words_of_that_cell() -> None:
    cells = "".join(f"<b:table-cell><t:p>{word}</t:p></b:table-cell>" for word in ("in", "side"))
    inner = f"<b:table><b:table-row>{cells}</b:table-row></b:table>"
    row = f"<b:table-row><b:table-cell>{inner}</b:table-cell>{cells}</b:table-row>"
    assert read(open_text(f"<b:table>{row}</b:table>")).text == "in side; in; side"


# --- what is refused ---


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (("1Table", "WordDocument"), "DOCX"),
        (("PowerPoint Document",), "PPTX"),
        (("Workbook",), "XLSX"),
        (("VisioDocument",), "PDF"),
        (("__properties_version1.0",), "EML"),
        ((), "DOCX, XLSX, PPTX or PDF"),
    ],
)
def test_an_old_document_is_refused_with_what_to_save_it_as(
    names: tuple[str, ...], advice: str
) -> None:
    with pytest.raises(UnsupportedFormatError, match=advice):
        read(ole(*names), "report.docx")


def test_an_encrypted_office_document_is_named_as_such() -> None:
    with pytest.raises(EncryptedFileError):
        read(ole("EncryptionInfo", "EncryptedPackage"))


@pytest.mark.parametrize("length", [8, 300, 600])
def test_an_old_document_that_is_damaged_is_refused(length: int) -> None:
    with pytest.raises((UnreadableFileError, UnsupportedFormatError)):
        read(ole("WordDocument")[:length])


def test_a_directory_that_never_ends_is_hostile() -> None:
    looped = bytearray(ole("WordDocument"))
    struct.pack_into("<I", looped, 512 + 4, 1)  # sector 1 is followed by itself
    with pytest.raises(HostileFileError):
        read(bytes(looped))
