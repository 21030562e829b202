"""What each format becomes, and how each bad file is refused."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import (
    HostileFileError,
    NoTextError,
    OutputTooLargeError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser import builder
from ragmesh.indexing.parser.kinds import SourceKind, kind_of
from tests.unit.indexing.parser.reads import lines, outline, read
from tests.unit.indexing.parser.samples import pdf, zipped

# --- HTML ---

PAGE = """<!DOCTYPE html><html><head><title>Dogs on board</title></head><body>
<nav><a href="/">Start</a></nav><article><h1>Dogs</h1>
<p>Dogs travel in one of the fourteen cabins of the ship, and they wear a lead everywhere.</p>
<h2>Fees</h2><table><tr><th>Animal</th><th>Fee</th></tr><tr><td>Dog</td><td>18</td></tr></table>
<p>The fee is paid at the counter before departure, in cash or by card, and never later.</p>
<script>var hidden = "hidden words";</script></article></body></html>"""

MAIL_OF_HTML = "From: a@example.org\nTo: b@example.org\nSubject: s\nContent-Type: text/html\n\n"
"""Followed by a page, of which a message keeps all that is visible."""


def test_a_page_keeps_headings_and_tables_and_drops_scripts_and_menus() -> None:
    extraction = read(PAGE)
    assert (extraction.title, extraction.content_type) == ("Dogs on board", "text/html")
    assert outline(extraction) == [(1, "Dogs", "Dogs"), (2, "Fees", "Fees")]
    assert "Animal: Dog; Fee: 18" in lines(extraction)
    assert "hidden words" not in extraction.text
    assert "Start" not in extraction.text


def test_a_page_without_an_article_falls_back_to_all_visible_text() -> None:
    cells = "".join(f"<div>Berth {n} is free</div>" for n in range(30))
    text = read(f"<html><body><p>Overview.</p>{cells}</body></html>").text
    assert all(f"Berth {n} is free" in text for n in range(30))


def test_a_short_page_keeps_its_paragraphs() -> None:
    page = "<html><body><h1>Tides</h1><p>They turn.</p><p>Twice a day.</p></body></html>"
    assert read(page).text == "Tides\n\nThey turn.\n\nTwice a day."


def test_the_encoding_a_page_declares_is_believed() -> None:
    page = (
        '<html><head><meta charset="windows-1251"></head><body><p>Причал закрыт</p></body></html>'
    )
    assert "Причал закрыт" in read(page.encode("cp1251")).text


@pytest.mark.parametrize("tag", ["div", "font", "b"])
def test_words_behind_very_many_tags_that_nobody_closed_are_read(tag: str) -> None:
    words = [f"word{number}" for number in range(500)]
    source = "".join(f"<{tag}>{word} <script>gone</script>" for word in words)
    assert read(f"<html><body>{source}").text.split() == words


def test_a_page_that_is_cut_off_because_it_is_nested_too_deep_is_hostile() -> None:
    with pytest.raises(HostileFileError):
        read("<html><body>" + "<b>word " * 5_000)


def test_words_in_tables_that_only_arrange_a_page_are_read_once() -> None:
    page = "<h1>Tides</h1><p>They turn.</p>"
    for _ in range(4):
        page = f"<table><tr><td>{page}</td></tr></table>"
    assert read(f"<html><body>{page}</body></html>").text.count("They turn.") == 1
    message = read(f"{MAIL_OF_HTML}{page}")
    assert message.text.endswith("Subject: s\n\nTides\n\nThey turn.")
    assert outline(message) == [(1, "Tides", "Tides")]


def test_what_stands_in_a_list_beside_its_items_is_read() -> None:
    listing = "<ul>Ports<div><li>Elsewhere</li></div><p>and</p><li>Nowhere</li>so far</ul>"
    text = read(f"{MAIL_OF_HTML}<p>List</p>{listing}").text
    assert text.endswith("List\n\nPorts\n- Elsewhere\nand\n- Nowhere\nso far")


def test_a_deeply_nested_page_ends_in_text_or_a_reason() -> None:
    nested = "<html><body>" + "<div>" * 20_000 + "deep words" + "</div>" * 20_000
    try:
        assert "deep words" in read(nested).text
    except (HostileFileError, NoTextError, UnreadableFileError) as error:
        assert error.reason  # noqa: PT017 - either outcome is kept; a crash is not


# --- Markdown, CSV, text ---


def test_markdown_stays_as_written_and_shows_its_structure() -> None:
    front, body = '---\ntitle: "The *plan*"\n---\n', "# One\n\nWords *here*.\n\nTwo `x`\n---\n\n"
    source = f"{front}{body}```py\na = 1\n```\n"
    extraction = read(source, "plan.md")
    assert extraction.text == source
    assert extraction.title == "The *plan*"
    assert outline(extraction) == [(1, "One", "# One"), (2, "Two x", "Two `x`\n---")]
    assert "a = 1" in lines(extraction)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_becomes_one_readable_line_a_row(delimiter: str) -> None:
    rows = [["ship", "delay"], ["Vela", "48"], ["Lyra", ""], ["Auriga", "12"]]
    content = "\r\n".join(delimiter.join(row) for row in rows)
    extraction = read(content, "delays.csv")
    assert lines(extraction) == ["ship: Vela; delay: 48", "ship: Lyra", "ship: Auriga; delay: 12"]
    assert extraction.title == "delays"


def test_the_line_that_names_the_delimiter_is_no_row() -> None:
    assert read("sep=;\r\nPort;High, m\r\nElsewhere;4.1\r\n", "a.csv").text == (
        "Port: Elsewhere; High, m: 4.1"
    )


def test_a_table_without_a_header_keeps_its_first_row() -> None:
    assert lines(read("1,2\n3,4", "n.csv")) == ["1; 2", "3; 4"]


def test_a_quoted_cell_may_hold_delimiters_and_line_ends() -> None:
    assert lines(read('a,b\n"x, y\nz",2', "q.csv")) == ["a: x, y z; b: 2"]


def test_a_mail_like_header_and_underlines_structure_plain_text() -> None:
    source = (
        "PEP: 1\nTitle: The\n Way\n\nAbout\n=====\n\nWords.\n\nMore\n----\n\nEnd::\n\n  a\n  b\n"
    )
    extraction = read(source)
    assert extraction.title == "The Way"
    assert outline(extraction) == [(1, "About", "About\n====="), (2, "More", "More\n----")]
    assert "PEP: 1" in lines(extraction)
    assert [line.strip() for line in lines(extraction)][-2:] == ["a", "b"]


def test_numbered_titles_that_stand_alone_are_headings() -> None:
    source = "Intro words here.\n\n1. The first hour\n\nKeep calm.\n\n1.1 Later\n\nGo home.\n"
    assert [(level, title) for level, title, _ in outline(read(source))] == [
        (1, "1. The first hour"),
        (2, "1.1 Later"),
    ]


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp1251"],
)
def test_text_of_any_encoding_is_read(encoding: str) -> None:
    words = (
        "Größere Fähre über Grömsiel"
        if "1251" not in encoding
        else "Паром отходит от причала в полдень"
    )
    assert read(f"{words}. {words}.".encode(encoding)).text.startswith(words)


@pytest.mark.parametrize("encoding", ["iso2022_jp", "iso2022_jp_ext"])
def test_text_that_escapes_from_ascii_is_read_as_what_it_escapes_to(encoding: str) -> None:
    assert read("港は冬に閉まる。\n".encode(encoding), "a.txt").text.strip() == "港は冬に閉まる。"
    assert read("\x1b[1mbold\x1b[0m and $B\n", "a.log").text.strip() == "[1mbold[0m and $B"


def test_text_is_normalised_and_free_of_control_characters() -> None:
    assert read("Gro\u0308m\u00adsiel\x00\x07 a\r\nb\x0cc").text == "Grömsiel a\nb\nc"


@pytest.mark.parametrize(
    ("source", "filename"),
    [
        ("Title: Tides\nAuthor: Ada Quay\nCreated: 2024-05-01\n\nWords.\n", "a.txt"),
        ("Title: Tides\nAuthor: Ada Quay\nCreated: 1-May-2024\n\nWords.\n", "b.txt"),
        ('---\ntitle: Tides\nauthor: "Ada Quay"\ndate: 2024-05-01\n---\nWords.\n', "a.md"),
        ("+++\ntitle = 'Tides'\nauthor = 'Ada Quay'\ndate = 2024-05-01\n+++\nWords.\n", "a.md"),
    ],
)
def test_fields_at_the_head_of_a_text_say_who_wrote_it_and_when(source: str, filename: str) -> None:
    extraction = read(source, filename)
    assert extraction.title == "Tides"
    properties = extraction.properties
    assert (properties.author, properties.created) == ("Ada Quay", "2024-05-01")


@pytest.mark.parametrize(
    ("named", "words", "language"),
    [
        ("", "Das Schiff liegt nicht mehr auf der Reede und ist mit dem Schlepper da.", "de"),
        ("en-GB", "The ship is not on the quay and this is the way to the harbour.", "en-GB"),
        ("en-US", "Das Schiff liegt nicht mehr auf der Reede und ist mit dem Schlepper da.", "de"),
        ("cs", "The ship is not on the quay and this is the way to the harbour.", "cs"),
        ("pt_BR", "Navio.", "pt-BR"),
        ("no language", "Navio.", ""),
    ],
)
def test_a_document_has_the_language_it_names_unless_its_words_show_another(
    named: str, words: str, language: str
) -> None:
    page = f'<html lang="{named}"><body><p>{words}</p></body></html>'
    assert read(page).properties.language == language


def test_a_title_of_front_matter_is_its_line_without_quotes() -> None:
    assert read("---\ntitle: 'Salt  and sand' \n---\nWords.", "a.md").title == "Salt and sand"
    assert read(f"---\ntitle: a{' ' * 200_000}b\n---\nWords.", "a.md").title == "a b"


def test_a_file_without_a_title_is_named_after_its_file() -> None:
    assert read("words", "outage plan.txt").title == "outage plan"


@pytest.mark.parametrize("content", [b" \n\t ", "\u200b\u200e".encode(), b"\xef\xbb\xbf"])
def test_white_and_invisible_characters_are_no_text(content: bytes) -> None:
    with pytest.raises(NoTextError):
        read(content)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "PNG"),
        (zipped({"a.txt": b"words"}), "unpack"),
        (zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "save it as PDF"),
        (zipped({"mimetype": b"application/vnd.oasis.opendocument.presentation"}), "PPTX"),
        (zipped({"mimetype": b"application/epub+zip"}), "EPUB"),
        (bytes(range(256)) * 8, "binary"),
    ],
)
def test_other_formats_are_refused_with_advice(content: bytes, advice: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=advice):
        read(content, "claims-to-be.txt", "text/plain")


def test_a_text_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "MAX_CHARACTERS", 50)
    with pytest.raises(OutputTooLargeError):
        read("words " * 20)


def test_the_bytes_decide_before_the_name() -> None:
    assert read(pdf([["Really a PDF."]]), "page.html", "text/html").content_type == (
        "application/pdf"
    )
    assert read("just words", "page.html").content_type == "text/plain"


@pytest.mark.parametrize("prelude", ["<!---->", "<?xml?>", " <!-- a -->", "<!--"])
def test_what_stands_before_a_page_is_looked_at_once(prelude: str) -> None:
    source = SourceFile(prelude.encode() * 4_000, "page.html")
    assert kind_of(source) is SourceKind.TEXT
    assert kind_of(SourceFile(b"<!-- a --> <!---->\n<html>")) is SourceKind.HTML


def test_an_extraction_survives_being_stored() -> None:
    extraction = read(pdf([["1 Purpose", "Why."]], bookmarks=[("1 Purpose", 0)]))
    assert extraction.headings
    assert Extraction.from_json(extraction.to_json()) == extraction


@pytest.mark.parametrize("stored", [b"[]", b"{}", b'{"format": 99}', b'{"format": 1, "text": 3}'])
def test_a_stored_form_that_is_none_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError, match="not an extraction"):
        Extraction.from_json(stored)
