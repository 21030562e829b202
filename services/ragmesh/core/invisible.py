"""Characters that nobody sees: they must neither hide words nor pass for one."""

from __future__ import annotations

import re

IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What Unicode calls default ignorable: joiners, marks of direction, variation selectors, tags; as
a class of a regular expression."""
_INVISIBLE = re.compile(f"[{IGNORABLE}]+")


def without_invisible(text: str) -> str:
    """The text as a reader sees it; a word stays one word."""
    return _INVISIBLE.sub("", text)
