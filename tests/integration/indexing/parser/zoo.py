"""Files of many kinds, languages and encodings: whatever makes a library load something late."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ragmesh.core.reading import SourceFile
from ragmesh.indexing.parser.samples import samples
from tests.unit.indexing.parser.reads import FILES
from tests.unit.indexing.parser.samples import drawn_pdf, grid, pdf, placed

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
_MADE = {"node_modules", "generated", "built"}
"""Folders that the examples' own tools make."""

TEXTS = {
    "ru": "Паром отправляется в полдень и возвращается на закате. Собаки едут бесплатно. ",
    "uk": "Пором відпливає опівдні й повертається на заході сонця. Їжу можна брати із собою. ",
    "ja": "フェリーは正午に出発し、日没に戻ります。犬は無料で乗船できます。",
    "zh": "渡轮中午出发，日落时返回。狗可以免费乘船。",
    "zh-hant": "渡輪中午出發，日落時返回。狗可以免費乘船。",
    "ko": "페리는 정오에 출발하여 해질녘에 돌아옵니다. 개는 무료로 탑승합니다. ",
    "el": "Το πλοίο αναχωρεί το μεσημέρι και επιστρέφει στο ηλιοβασίλεμα. ",
    "he": "המעבורת יוצאת בצהריים וחוזרת עם השקיעה. כלבים נוסעים בחינם. ",
    "ar": "تغادر العبارة عند الظهر وتعود عند غروب الشمس. الكلاب تسافر مجانا. ",
    "th": "เรือข้ามฟากออกเวลาเที่ยงและกลับมาตอนพระอาทิตย์ตก ",
    "pl": "Prom odpływa w południe i wraca o zachodzie słońca. Psy płyną za darmo, gęś też. ",
    "tr": "Feribot öğlen kalkar ve gün batımında döner. Köpekler ücretsiz yolculuk eder, ığıl. ",
    "de": "Die Fähre legt mittags ab und kehrt bei Sonnenuntergang zurück, größtenteils. ",
    "fr": "Le bac part à midi et revient au coucher du soleil. Les chiens voyagent gratuitement. ",
    "en": "The ferry leaves at noon and returns at dusk. Dogs travel free, and so do bicycles. ",
}
ENCODINGS = {
    "ru": ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic"),
    "uk": ("koi8-u", "cp1251"),
    "ja": ("shift_jis", "euc-jp", "iso2022-jp", "cp932"),
    "zh": ("gb18030", "gbk"),
    "zh-hant": ("big5",),
    "ko": ("euc-kr", "cp949"),
    "el": ("cp1253", "iso8859-7"),
    "he": ("cp1255", "iso8859-8"),
    "ar": ("cp1256", "iso8859-6"),
    "th": ("tis-620",),
    "pl": ("cp1250", "iso8859-2"),
    "tr": ("cp1254", "iso8859-9"),
    "de": ("cp1252", "latin-1", "cp437"),
    "fr": ("mac-roman", "iso8859-15"),
    "en": ("ascii", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7"),
}


def zoo() -> Iterator[SourceFile]:
    """Every example, every sample of the warm-up, and texts and pages in every encoding."""
    for path in sorted(EXAMPLES.rglob("*")):
        if path.is_file() and not _MADE.intersection(path.parts):
            yield SourceFile(path.read_bytes(), path.name)
    yield from samples()
    for path in sorted(FILES.iterdir()):
        yield SourceFile(path.read_bytes(), path.name)
    yield from _drawn()
    yield from _messages()
    yield from _texts()
    yield from _pages()
    yield from _odd_ones()


def _drawn() -> Iterator[SourceFile]:
    """PDFs with a table, a form and mixed columns."""
    table = placed("Words of a page.", 60, 700) + grid([50, 150, 250], [600, 620, 640])
    table += "".join(placed("cell", 60 + 100 * n, 605 + 20 * row) for n in (0, 1) for row in (0, 1))
    fields = [("Ship", "Vela"), ("Delay", "48 hours")]
    yield SourceFile(drawn_pdf([table, table], fields=fields, images=1), "form.pdf")
    columns = "".join(
        placed(f"The left column says {n:02}.", 50, 760 - 14 * n)
        + placed(f"The right column says {n:02}.", 310, 760 - 14 * n)
        for n in range(12)
    )
    yield SourceFile(drawn_pdf([columns]), "columns.pdf")


def _messages() -> Iterator[SourceFile]:
    """Mail and rich text in every encoding that programs write them in."""
    head = "From: a@example.org\nTo: b@example.org\nSubject: s\nMIME-Version: 1.0\n"
    for language, text in TEXTS.items():
        encoding = ENCODINGS[language][0]
        said = f'{head}Content-Type: text/plain; charset="{encoding}"\n\n'.encode()
        yield SourceFile(said + text.encode(encoding, errors="ignore"), f"{language}.eml")
        units = "".join(f"\\u{ord(letter)}?" for letter in text if ord(letter) < 0x8000)
        yield SourceFile(f"{{\\rtf1\\ansi {units}}}".encode(), f"{language}.rtf")


def _texts() -> Iterator[SourceFile]:
    for language, text in TEXTS.items():
        for encoding in ("utf-8", "utf-16-le", *ENCODINGS[language]):
            content = (text * 8).encode(encoding, errors="ignore")
            yield SourceFile(content, f"{language}.{encoding}.txt")


def _pages() -> Iterator[SourceFile]:
    """Pages that say their encoding, that do not, and whose text must be looked for."""
    for language, text in TEXTS.items():
        paragraphs = f"<h1>{text[:20]}</h1><p>{text * 6}</p><p>{text * 4}</p>"
        menu = "".join(f"<li><a href='/{n}'>{text[:12]} {n}</a></li>" for n in range(30))
        poor = f"<ul>{menu}</ul><div><span>{text}</span><br>{text}</div><table><tr><td>{text}"
        for name, body in (("article", paragraphs), ("poor", poor)):
            for encoding in ("utf-8", ENCODINGS[language][0]):
                page = f"<html lang='{language}'><body>{body}</body></html>"
                said = page.replace("<body>", f"<head><meta charset='{encoding}'></head><body>")
                for kind, markup in (("said", said), ("silent", page)):
                    content = markup.encode(encoding, errors="ignore")
                    yield SourceFile(content, f"{language}.{name}.{encoding}.{kind}.html")


def _odd_ones() -> Iterator[SourceFile]:
    yield SourceFile(b"", "empty.txt")
    yield SourceFile(b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "image.png")
    yield SourceFile(b"<html><meta charset='no-such-encoding'><p>Words of a page.</p></html>", "x")
    yield SourceFile(b"<html><body>" + b"<div>" * 3_000 + b"deep", "deep.html")
    yield SourceFile(b"<rss><channel><item><title>A feed</title></item></channel></rss>", "a.xml")
    yield SourceFile(b"\xff\xfe\xff\xfe broken \x80\x81", "broken.txt")
    yield SourceFile(pdf([["Page one."], ["Page two."]], bookmarks=[("Two", 1)]), "bookmarks.pdf")
    yield SourceFile(pdf([["Cut off."]])[:-120], "cut.pdf")
    yield SourceFile(b"%PDF-1.7\nnothing of a PDF", "not.pdf")
