"""Characters that nobody sees: they carry what a reader is not meant to notice."""

from __future__ import annotations

_TAGS = range(0xE0000, 0xE0080)
"""Tag characters spell out ASCII invisibly; some models read them."""
_ZERO_WIDTH = (0x00AD, 0x034F, 0x180E, 0x200B, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF)
_DIRECTIONS = (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""They show a text in another order than it is read in."""
_CONTROLS = (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0))
_INVISIBLE = dict.fromkeys((*_TAGS, *_ZERO_WIDTH, *_DIRECTIONS, *_CONTROLS))
"""The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them."""


def visible(text: str) -> str:
    """The text without what cannot be seen; what a reader sees is the same."""
    return text if text.isascii() and text.isprintable() else text.translate(_INVISIBLE)
