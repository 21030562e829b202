"""The tokens of RTF, and the characters that its bytes stand for."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,9})? ?"  # a control word with its number
    rb"|\\'([0-9a-fA-F]{2})"
    rb"|\\([^a-zA-Z\r\n'])"
    rb"|(\\\r?\n)"  # an old way to end a paragraph
    rb"|([{}])"
    rb"|([^\\{}\r\n]+)"
    rb"|[\\\r\n]"
)
_SYMBOLS = {b"~": "\u00a0", b"_": "\u2011", b"\\": "\\", b"{": "{", b"}": "}"}


@dataclass(frozen=True, slots=True)
class Word:
    """A control word; `*` marks a destination that readers may leave out."""

    name: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Brace:
    """The begin or end of a group."""

    opens: bool


@dataclass(frozen=True, slots=True)
class Letters:
    """Bytes of the code page that holds, or a character that is none of its."""

    raw: bytes = b""
    symbol: str = ""


Token = Word | Brace | Letters


def tokens_of(content: bytes) -> Iterator[Token]:
    """Every token; binary data is left out."""
    position = 0
    while match := _TOKEN.match(content, position):
        position = match.end()
        if match.group(1) == b"bin":
            position += max(int(match.group(2) or 0), 0)
        token = _token(match)
        if token is not None:
            yield token


def _token(match: re.Match[bytes]) -> Token | None:
    """What a piece of the source says; None for what only parts the others."""
    word, number, code, symbol, line_end, brace, text = match.groups()
    if word is not None:
        return Word(word.decode("ascii"), None if number is None else int(number))
    if code is not None or text is not None:
        return Letters(text or bytes([int(code, 16)]))
    if brace is not None:
        return Brace(brace == b"{")
    if symbol in _SYMBOLS:
        return Letters(symbol=_SYMBOLS[symbol])
    if line_end is not None:
        return Word("par")
    return Word("*") if symbol == b"*" else None


class Characters:
    """Puts characters together from bytes of a code page and from UTF-16 units."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._units: list[int] = []
        self._unseen = 0

    def add(self, raw: bytes) -> None:
        """Add bytes, without those that stand in for a unit before them."""
        hidden = min(self._unseen, len(raw))
        self._unseen -= hidden
        self._raw += raw[hidden:]

    def add_unit(self, number: int, *, stand_ins: int) -> None:
        """Add a UTF-16 unit, which so many bytes after it stand in for."""
        self._units.append(number & 0xFFFF)
        self._unseen = stand_ins

    @property
    def holds_bytes(self) -> bool:
        """Whether bytes wait; units that follow them come after them."""
        return bool(self._raw)

    def taken(self, code_page: str) -> str:
        """What has come together so far, which is over then."""
        units = b"".join(unit.to_bytes(2, "little") for unit in self._units)
        text = units.decode("utf-16-le", errors="replace") + bytes(self._raw).decode(
            code_page, errors="replace"
        )
        self._raw.clear()
        self._units.clear()
        return text

    def forget_stand_ins(self) -> None:
        """Whatever follows stands in for nothing: a group or a command began."""
        self._unseen = 0


def code_page(number: int, *, otherwise: str) -> str:
    """The name of a Windows code page, if Python knows it."""
    name = {10000: "mac_roman", 65001: "utf-8", 932: "cp932", 936: "gb18030"}.get(
        number, f"cp{number}"
    )
    try:
        return codecs.lookup(name).name
    except LookupError:
        return otherwise
