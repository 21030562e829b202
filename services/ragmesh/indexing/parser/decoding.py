"""Bytes of any encoding to text: marks first, then UTF-8, then what the bytes resemble."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress

import charset_normalizer

from ragmesh.core.errors import UnreadableFileError
from ragmesh.indexing.parser.kinds import zero_byte_encoding

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SEVEN_BITS = re.compile(r"iso2022_|hz$|utf-7$")
_ESCAPES = (
    (b"\x1b$)C", "iso2022_kr"),
    (b"\x1b$B", "iso2022_jp_ext"),
    (b"\x1b$@", "iso2022_jp_ext"),
)
_META_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.-]{2,40})", re.I)
_GUESSED_FROM = 262_144
_USUAL = frozenset(
    {
        *(f"cp125{page}" for page in range(9)),
        *("big5", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "koi8_r", "shift_jis"),
    }
)


def decoded(content: bytes, *, claimed: str = "") -> str:
    """The text of the bytes; a claimed encoding is believed only if it fits."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    regular = zero_byte_encoding(content[:4096])
    if regular:
        return content.decode(regular, errors="replace")
    for encoding in (*_of_seven_bits(content, claimed), "utf-8", claimed):
        text = _strictly(content, encoding)
        if text is not None:
            return text
    return content.decode(_guessed(content), errors="replace")


def declared_charset(markup: bytes) -> str:
    """The encoding that a page's own meta element names, or nothing."""
    found = _META_CHARSET.search(markup[:4096])
    return found.group(1).decode("ascii") if found else ""


def _of_seven_bits(content: bytes, claimed: str) -> Iterator[str]:
    """What would pass for ASCII: a claimed encoding, else the one whose escapes are there."""
    with suppress(LookupError):
        if claimed and _SEVEN_BITS.match(codecs.lookup(claimed).name):
            yield claimed
    yield from (encoding for escape, encoding in _ESCAPES if escape in content)


def _strictly(content: bytes, encoding: str) -> str | None:
    if not encoding:
        return None
    try:
        return content.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _guessed(content: bytes) -> str:
    """The likeliest encoding; of equally likely ones, one that programs still write."""
    matches = charset_normalizer.from_bytes(content[:_GUESSED_FROM])
    best = matches.best()
    if best is None:
        raise UnreadableFileError("the encoding of the text is not known")
    alike = (m for m in matches if m.chaos <= best.chaos and m.coherence >= best.coherence - 0.2)
    return next((m.encoding for m in alike if m.encoding in _USUAL), best.encoding)
