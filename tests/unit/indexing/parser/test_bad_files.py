"""Whatever happens to a file, reading it ends in text or in a reason that the mesh knows."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ragmesh.core.errors import (
    HostileFileError,
    OutputTooLargeError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser import archives, builder, extraction
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.kinds import SourceKind
from ragmesh.indexing.parser.messages import VERDICTS
from ragmesh.indexing.parser.samples import samples
from tests.unit.indexing.parser.reads import FILES, read
from tests.unit.indexing.parser.samples import drawn_pdf, grid, placed, repacked, zipped

BOMB = b"<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '&b;&b;&b;&b;&b;&b;'>]><a>&c;&c;&c;</a>"


def whole_files() -> Iterator[SourceFile]:
    """One of every kind, small ones and some that other programs wrote."""
    yield from samples()
    for path in sorted(FILES.iterdir()):
        yield SourceFile(path.read_bytes(), path.name)
    page = placed("Words of a page.", 60, 700) + grid([50, 150, 250], [600, 620, 640])
    yield SourceFile(drawn_pdf([page, page], bookmarks=[("Words", 0)]), "table.pdf")


WHOLE = list(whole_files())
NAMES = [source.filename for source in WHOLE]
ENDINGS = {"text", *VERDICTS}


def verdict(content: bytes, filename: str) -> str:
    """`text`, or the reason of the refusal; anything else that is raised fails the test."""
    try:
        extract(SourceFile(content, filename))
    except tuple(VERDICTS.values()) as error:
        return error.reason
    return "text"


@pytest.mark.parametrize("whole", WHOLE, ids=NAMES)
def test_a_file_cut_off_anywhere_ends_in_text_or_a_reason(whole: SourceFile) -> None:
    size = len(whole.content)
    for cut in {1, 2, 4, 8, *(size * part // 24 for part in range(1, 24)), size - 1}:
        assert verdict(whole.content[:cut], whole.filename) in ENDINGS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("whole", WHOLE, ids=NAMES)
def test_a_file_with_other_bytes_in_it_ends_in_text_or_a_reason(
    whole: SourceFile, seed: int
) -> None:
    dice = random.Random(f"{whole.filename} {seed}")
    for _ in range(12):
        content = bytearray(whole.content)
        for _ in range(dice.choice([1, 3, 20])):
            place = dice.randrange(len(content))
            length = dice.choice([0, 1, 4])
            content[place : place + length] = dice.randbytes(dice.choice([0, 1, 4]))
        assert verdict(bytes(content), whole.filename) in ENDINGS


@pytest.mark.parametrize("whole", WHOLE, ids=NAMES)
def test_a_name_that_lies_changes_nothing_about_files_that_are_not_text(
    whole: SourceFile,
) -> None:
    honest = read(whole.content, whole.filename, "")
    if honest.content_type in {"text/markdown", "text/csv", "text/html"}:
        return  # kinds of text are told apart by their names
    lied = read(whole.content, "scan.pdf", "application/pdf")
    assert (lied.text, lied.content_type) == (honest.text, honest.content_type)


def test_an_archive_called_pdf_is_refused_as_an_archive() -> None:
    with pytest.raises(UnsupportedFormatError, match="unpack"):
        read(zipped({"page.txt": b"words"}), "report.pdf", "application/pdf")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("deck.pptx", "ppt/slides/slide1.xml"),
        ("deck.pptx", "docProps/core.xml"),
        ("book.xlsx", "xl/sharedStrings.xml"),
        ("ships.ods", "content.xml"),
        ("tides.odt", "content.xml"),
        ("tides.odt", "meta.xml"),
    ],
)
def test_a_part_that_declares_entities_is_hostile(name: str, part: str) -> None:
    with pytest.raises(HostileFileError):
        read(repacked((FILES / name).read_bytes(), {part: BOMB}))


@pytest.mark.parametrize("name", ["deck.pptx", "book.xlsx", "tides.odt"])
def test_a_part_that_unpacks_to_far_too_much_is_hostile(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_MAX_XML", 100_000)
    with pytest.raises(HostileFileError):
        read(repacked((FILES / name).read_bytes(), {"extra.xml": b" " * 100_001}))


def test_a_package_of_very_many_parts_is_hostile() -> None:
    with pytest.raises(HostileFileError):
        read(zipped({f"part{n}": b"" for n in range(5_001)}))


def test_a_part_larger_than_it_declares_is_damaged() -> None:
    content = bytearray(zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"x" * 9_000}))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")  # its size when unpacked
    with pytest.raises((UnreadableFileError, HostileFileError)):
        read(bytes(content))


@pytest.mark.parametrize("raw", [b"\xff\xfe\xfd words \x80\x81", b"words \xc3\x28 \xf0\x9f words"])
def test_bytes_of_no_encoding_are_read_as_the_likeliest(raw: bytes) -> None:
    assert len(read(raw * 20, "a.txt").text) >= 100


@pytest.mark.parametrize("defect", [UnboundLocalError("x"), ModuleNotFoundError("late")])
def test_a_defect_of_a_parser_is_not_blamed_on_the_file(
    defect: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_content: bytes) -> Extraction:
        raise defect

    monkeypatch.setitem(extraction._LOADERS, SourceKind.MARKDOWN, lambda: broken)
    with pytest.raises(type(defect)):
        extract(SourceFile(b"# Words", "a.md"))


def test_a_file_without_bytes_has_no_text() -> None:
    assert verdict(b"", "empty.pdf") == "NO_TEXT"


@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>" + b"<div>" * 50_000 + b"deep" + b"</div>" * 50_000,
        b"<html><table>" * 3_000 + b"deep",
        b"<ul><li>" * 5_000 + b"deep",
        b"> " * 50_000 + b"deep",
        b"- " * 5_000 + b"deep",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"{\\rtf1" + b"{\\b " * 200_000,
        b"From: a\nTo: b\nSubject: c\nMIME-Version: 1.0\n"
        + b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(300)
        ),
    ],
    ids=["div", "table", "list", "quote", "bullets", "array", "object", "rtf", "mail"],
)
@pytest.mark.parametrize("filename", ["deep.txt", "deep.md", "deep.html"])
def test_nesting_without_end_ends_in_text_or_a_reason(content: bytes, filename: str) -> None:
    assert verdict(content, filename) in ENDINGS


def test_rows_that_would_be_more_text_than_may_be_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builder, "MAX_CHARACTERS", 20_000)
    header = ",".join(f"a column with a long name {n}" for n in range(300))
    with pytest.raises(OutputTooLargeError):
        read(header + ("\n" + ",".join("1" * 300)) * 3, "wide.csv")
