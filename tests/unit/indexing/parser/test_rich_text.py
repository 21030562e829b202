"""What RTF becomes."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import HostileFileError, NoTextError
from tests.unit.indexing.parser.reads import lines, outline, read

HEAD = (
    r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial CYR;}}"
    r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\*\cs9 \additive Default;}}"
)


def rich(body: str) -> str:
    return read(HEAD + body + "}").text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Gr\u246?msiel", "Grömsiel"),
        (r"Gr\'f6\'dfe", "Größe"),
        (r"{\f1\'cf\'f0\'e8}\'e4", "Приä"),
        (r"\uc2\u8212\'97\'97 dash", "\u2014 dash"),
        (r"\u-10179?\u-8704? face", "\U0001f600 face"),
        (r"a\~b\\c\{d\}", "a\u00a0b\\c{d}"),
        (r"\ldblquote Quoted\rdblquote\emdash yes", "\u201cQuoted\u201d\u2014yes"),
        (r"shown{\v hidden}{\*\unknown left out}{\deleted gone}", "shown"),
        (r"shown\v hidden\plain  again", "shown again"),
        (r"\f1\'cf\plain\'e4", "Пä"),
        (r"see{\field{\*\fldinst HYPERLINK x}{\fldrslt  the quay}}", "see the quay"),
        (r"before{\pict\pngblip 89504e470d0a}\bin4 {}}}after", "beforeafter"),
        ("one\\par\ntwo\\\nthree", "one\n\ntwo\n\nthree"),
    ],
)
def test_words_of_rich_text_are_read_as_people_see_them(source: str, text: str) -> None:
    assert rich(source) == text


def test_headings_tables_notes_and_page_heads_have_their_place() -> None:
    extraction = read(
        HEAD + r"{\header Harbour office\par}\pard\s1 Tides\par\pard The tide{\footnote In winter.}"
        r" turns.\par\trowd\cellx1\cellx2\intbl Port\cell High\cell\row"
        r"\trowd\intbl Elsewhere\cell 4.1\cell\row\pard After.\par}"
    )
    assert extraction.text == (
        "Harbour office\n\nTides\n\nThe tide turns.\n\nPort: Elsewhere; High: 4.1\n\nAfter.\n\n"
        "[1] In winter."
    )
    assert outline(extraction) == [(1, "Tides", "Tides")]
    assert "Port: Elsewhere; High: 4.1" in lines(extraction)


def test_a_cell_that_nobody_ended_is_read() -> None:
    assert rich(r"\trowd\intbl Ebb\cell Flood\row\pard After.\par") == "Ebb; Flood\n\nAfter."


def test_an_empty_paragraph_parts_two_tables() -> None:
    tables = (
        rf"\trowd\intbl {name}\cell High\cell\row\trowd\intbl A\cell 4.1\cell\row\pard\par"
        for name in ("Port", "Berth")
    )
    assert rich("".join(tables)) == "Port: A; High: 4.1\n\nBerth: A; High: 4.1"


def test_rich_text_says_its_title_author_date_and_how_many_pictures() -> None:
    extraction = read(
        HEAD + r"{\info{\title The plan}{\author Ada Quay}{\creatim\yr2024\mo5\dy1\hr8\min0}"
        r"{\operator Nobody}}Words.{\*\shppict{\pict 00}}{\nonshppict{\pict 00}}}"
    )
    assert (extraction.title, extraction.text) == ("The plan", "Words.")
    properties = extraction.properties
    assert (properties.author, properties.created) == ("Ada Quay", "2024-05-01T08:00")
    assert properties.images == 1


def test_rich_text_nested_without_end_is_hostile() -> None:
    with pytest.raises(HostileFileError):
        read(r"{\rtf1 " + "{" * 100_000)


@pytest.mark.parametrize("source", [r"{\rtf", r"{\rtf1}", r"{\rtf1\bin99999999 x}", "{\\rtf1\\"])
def test_rich_text_that_stops_in_the_middle_has_no_text(source: str) -> None:
    with pytest.raises(NoTextError):
        read(source)
