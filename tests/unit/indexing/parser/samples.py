"""Small files of every kind, made here so that each test says what is in its file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace


def word_tokenizer() -> bytes:
    """A tokenizer for which every word and every run of punctuation is a token."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(8)  # as encoders ship them; counting must not be cut by it
    return tokenizer.to_str().encode()


def pdf(pages: Sequence[Sequence[str]], *, bookmarks: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF with these lines on its pages and bookmarks (title, page index)."""
    shown = ["".join(f"({line}) Tj 0 -14 Td " for line in lines) for lines in pages]
    return drawn_pdf([f"BT /F 11 Tf 40 800 Td {text}ET" for text in shown], bookmarks=bookmarks)


def drawn_pdf(
    streams: Sequence[str],
    *,
    bookmarks: Sequence[tuple[str, int]] = (),
    catalog: str = "",
    info: str = "",
    images: int = 0,
    fields: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A PDF whose pages are drawn by these content streams; `/I` is a picture of one point.

    Its first page shows the fields of a form, by label and value.
    """
    count = len(streams)
    kids = " ".join(f"{10 + 2 * i} 0 R" for i in range(count))
    pixel = "/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray/Length 1"
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R{'/Outlines 4 0 R' if bookmarks else ''}{catalog}>>",
        2: f"<</Type/Pages/Kids[{kids}]/Count {count}>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        5: f"<<{info}>>",
        6: f"<</Type/XObject/Subtype/Image{pixel}>>\nstream\nx\nendstream",
    }
    widgets = " ".join(f"{900 + n} 0 R" for n in range(len(fields)))
    for n, (label, value) in enumerate(fields):
        objects[900 + n] = (
            f"<</Type/Annot/Subtype/Widget/FT/Tx/T(f{n})/TU({label})/V({value})/Rect[9 9 99 29]>>"
        )
    if fields:
        objects[1] = objects[1][:-2] + f"/AcroForm<</Fields[{widgets}]>>>>"
    for i, lines in enumerate(streams):
        stream = lines + " q 20 0 0 20 9 9 cm /I Do Q" * images
        objects[10 + 2 * i] = (
            f"<</Type/Page/Parent 2 0 R/Annots[{'' if i else widgets}]"
            "/MediaBox[0 0 595 842]/Contents"
            f" {11 + 2 * i} 0 R/Resources<</Font<</F 3 0 R>>/XObject<</I 6 0 R>>>>>>"
        )
        objects[11 + 2 * i] = f"<</Length {len(stream)}>>\nstream\n{stream}\nendstream"
    first = 10 + 2 * count
    if bookmarks:
        last = first + len(bookmarks) - 1
        objects[4] = f"<</First {first} 0 R/Last {last} 0 R/Count {len(bookmarks)}>>"
    for i, (title, page) in enumerate(bookmarks):
        after = f"/Next {first + i + 1} 0 R" if i + 1 < len(bookmarks) else ""
        before = f"/Prev {first + i - 1} 0 R" if i else ""
        objects[first + i] = (
            f"<</Title({title})/Parent 4 0 R{before}{after}/Dest[{10 + 2 * page} 0 R/Fit]>>"
        )
    body = "\n".join(f"{number} 0 obj\n{value}\nendobj" for number, value in objects.items())
    return f"%PDF-1.4\n{body}\ntrailer<</Root 1 0 R/Info 5 0 R>>\n".encode("cp1252")


def placed(text: str, x: float, y: float) -> str:
    """Content stream that writes a text at a place."""
    return f"BT /F 10 Tf {x} {y} Td ({text}) Tj ET "


def grid(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Content stream that strokes every line of a grid."""
    across = "".join(f"{xs[0]} {y} m {xs[-1]} {y} l S " for y in ys)
    return across + "".join(f"{x} {ys[0]} m {x} {ys[-1]} l S " for x in xs)


def word(build: docx.document.Document) -> bytes:
    """The bytes of a document built with python-docx."""
    packed = io.BytesIO()
    build.save(packed)
    return packed.getvalue()


def zipped(parts: dict[str, bytes]) -> bytes:
    """A ZIP archive of these parts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def repacked(archive: bytes, replaced: dict[str, bytes]) -> bytes:
    """The same archive with some parts replaced or added."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    return zipped(parts | replaced)
