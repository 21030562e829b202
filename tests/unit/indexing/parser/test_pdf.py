"""What PDF becomes: pages, bookmarks, columns, ruled tables."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import NoTextError, UnreadableFileError
from ragmesh.indexing.parser import pdf_page
from tests.unit.indexing.parser.reads import lines, outline, read
from tests.unit.indexing.parser.samples import drawn_pdf, grid, pdf, placed

LEFT = "The left column says this in line"
RIGHT = "The right column says this in line"


def test_every_page_of_a_pdf_knows_where_it_starts() -> None:
    extraction = read(pdf([["First page here."], ["Second page here."]]))
    first, second = extraction.pages
    assert extraction.text[first:second].strip() == "First page here."
    assert extraction.text[second:] == "Second page here."
    assert extraction.content_type == "application/pdf"


def test_bookmarks_of_a_pdf_become_headings_where_their_words_stand() -> None:
    pages = [["1 Purpose", "This is why."], ["2 Scope", "This is where."]]
    extraction = read(pdf(pages, bookmarks=[("1 Purpose", 0), ("2 Scope", 1)]))
    assert outline(extraction) == [(1, "1 Purpose", "1 Purpose"), (1, "2 Scope", "2 Scope")]


def test_lines_that_every_page_repeats_are_kept_once() -> None:
    pages = [
        ["The Harbour Manual", "Edition 4", f"Rule {n} says a thing", "More of it", "End", "Page 7"]
        for n in range(3)
    ]
    text = read(pdf(pages)).text
    assert text.count("The Harbour Manual") == 1
    assert text.count("Rule") == 3


def test_page_numbers_make_no_repeated_line_another() -> None:
    pages = [
        [f"{n} / 4", "Harbour", "One", f"Two {n}", f"Three {n}", f"Manual 2024, page {n}"]
        for n in range(1, 5)
    ]
    text = read(pdf(pages)).text
    assert [text.count(words) for words in ("/ 4", "Harbour", "Manual", "Two")] == [1, 1, 1, 4]


def test_rows_of_numbers_at_the_edges_of_pages_are_all_kept() -> None:
    rows = [[f"{n}.{row} {n * row}.25 {n + row}" for row in range(9)] for n in range(3, 8)]
    assert read(pdf(rows)).text.split("\n") == [line for page in rows for line in [*page, ""]][:-1]


def test_a_pdf_without_text_is_told_apart_from_a_damaged_one() -> None:
    with pytest.raises(NoTextError):
        read(pdf([[]]))
    with pytest.raises(UnreadableFileError):
        read(b"%PDF-1.7\n" + b"\x00\x01garbage" * 40)


# --- tables ---


def table_page(*, frame: str) -> str:
    """Words before a table of three rows, the table, words after it."""
    rows = [("Port", "High", "Low"), ("Elsewhere", "4.1", "0.3"), ("Nowhere", "3.8", "0.2")]
    cells = "".join(
        placed(words, 55 + 100 * column, 685 - 20 * row)
        for row, texts in enumerate(rows)
        for column, words in enumerate(texts)
    )
    return placed("Before the table.", 50, 760) + frame + cells + placed("After it.", 50, 500)


def test_a_ruled_table_becomes_rows_with_their_header() -> None:
    frame = grid([50, 150, 250, 350], [640, 660, 680, 700])
    extraction = read(drawn_pdf([table_page(frame=frame)]))
    assert lines(extraction) == [
        "Port: Elsewhere; High: 4.1; Low: 0.3",
        "Port: Nowhere; High: 3.8; Low: 0.2",
    ]
    assert extraction.text.startswith("Before the table.")
    assert extraction.text.endswith("After it.")


def test_lines_may_be_rectangles_and_lie_in_a_form() -> None:
    boxes = "".join(
        f"{50 + 100 * column} {640 + 20 * row} 100 20 re S "
        for row in range(3)
        for column in range(3)
    )
    frame = f"q 2 0 0 2 0 0 cm 0.5 0 0 0.5 0 0 cm {boxes}Q "
    assert len(lines(read(drawn_pdf([table_page(frame=frame)])))) == 2


def test_a_frame_around_running_text_is_no_table() -> None:
    frame = grid([40, 560], [480, 780]) + "40 500 m 560 500 l S 400 480 m 400 500 l S "
    extraction = read(drawn_pdf([table_page(frame=frame)]))
    assert lines(extraction) == []
    assert "Elsewhere" in extraction.text


def test_a_page_of_very_many_lines_is_read_as_a_drawing() -> None:
    drawing = "".join(f"10 {n / 20} m 500 {n / 20} l S " for n in range(9_000))
    extraction = read(drawn_pdf([placed("Words in it.", 50, 760) + drawing]))
    assert extraction.text == "Words in it."


def test_the_last_of_very_many_tables_are_running_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_page, "_MAX_LETTERS", 100)
    page = table_page(frame=grid([50, 150, 250, 350], [640, 660, 680, 700]))
    extraction = read(drawn_pdf([page, page]))
    assert len(lines(extraction)) == 2
    assert extraction.text.count("Elsewhere") == 2


def test_a_cell_over_several_columns_is_written_once() -> None:
    frame = grid([50, 150, 250], [660, 680, 700]) + "50 640 m 250 640 l S 50 640 m 50 660 l S "
    frame += "250 640 m 250 660 l S "
    cells = placed("Port", 55, 685) + placed("High", 155, 685) + placed("A", 55, 665)
    cells += placed("4.1", 155, 665) + placed("Measured in May", 55, 645)
    assert lines(read(drawn_pdf([frame + cells]))) == [
        "Port: A; High: 4.1",
        "Port: Measured in May",
    ]


# --- columns ---


def two_columns(*, mixed: bool) -> str:
    title = placed("A title that runs over both of the columns and is long enough to do", 50, 800)
    left = [placed(f"{LEFT} {n:02}.", 50, 760 - 14 * n) for n in range(12)]
    right = [placed(f"{RIGHT} {n:02}.", 310, 760 - 14 * n) for n in range(12)]
    if not mixed:
        return title + "".join(left + right)
    return title + "".join(one + other for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("mixed", [True, False])
def test_two_columns_are_read_one_after_the_other(mixed: bool) -> None:
    text = read(drawn_pdf([two_columns(mixed=mixed)])).text
    assert text.startswith("A title that runs over both")
    words = " ".join(text.split())
    assert words.index(f"{LEFT} 11.") < words.index(f"{RIGHT} 00.")
    assert f"{LEFT} 00. {LEFT} 01." in words


def test_a_table_without_lines_is_read_row_by_row() -> None:
    rows = "".join(
        placed(f"Ship {n:02}", 50, 760 - 14 * n) + placed(f"{n} h", 310, 760 - 14 * n)
        for n in range(12)
    )
    assert "Ship 03 3 h" in read(drawn_pdf([rows])).text


# --- what it says about itself ---


def test_a_pdf_says_its_title_author_dates_language_and_pictures() -> None:
    info = (
        "/Title(Tide tables)/Author(Ada Quay)/CreationDate(D:20240501080000+02'00')/ModDate(D:2024)"
    )
    extraction = read(
        drawn_pdf([placed("Words.", 50, 700)], catalog="/Lang(en-GB)", info=info, images=2)
    )
    assert extraction.title == "Tide tables"
    properties = extraction.properties
    assert (properties.author, properties.language) == ("Ada Quay", "en-GB")
    assert (properties.created, properties.modified) == ("2024-05-01T08:00:00+02:00", "2024")
    assert properties.images == 2
    assert properties.image_names == ("picture 1 on page 1", "picture 2 on page 1")


def test_what_was_filled_into_a_form_is_read_with_its_labels() -> None:
    fields = [("Name of the ship", "Vela"), ("", "48 hours"), ("Remarks", "")]
    extraction = read(drawn_pdf([placed("Delay report", 50, 700)], fields=fields))
    assert extraction.text.startswith("Delay report")
    assert lines(extraction) == ["Name of the ship: Vela", "f1: 48 hours"]


def test_a_pdf_of_pictures_alone_says_how_many_pages_have_none() -> None:
    with pytest.raises(NoTextError) as caught:
        read(drawn_pdf(["", ""], images=1))
    assert caught.value.metadata == {"pages": "2"}
