"""Characters that nobody sees: they carry what a reader is not meant to notice."""

from __future__ import annotations

import re

from ragmesh.core.invisible import IGNORABLE

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_WRITTEN_WITH = "\u200c\u200d\u180b-\u180d\ufe0e\ufe0f"
"""Persian, Indic and Mongolian script and emoji are written with these. Other variation selectors
and the tags spell out bytes that some models read."""
_HIDDEN = re.compile(f"[{IGNORABLE}{_CONTROLS}](?<![{_WRITTEN_WITH}])")


def visible(text: str) -> str:
    """The text without what cannot be seen; what a reader sees is the same."""
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub("", text)
