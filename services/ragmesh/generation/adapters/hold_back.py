"""What a model says, let through as soon as it is safe to show.

An answer is shown as Markdown or HTML somewhere. A document may have talked the model into an
image that tells a stranger what was asked, or into citing what it was not given. So the stream
stops at `[`, `!` and `<` until it is clear what begins there, for HELD_CHARACTERS at most: then
what began is made harmless by another character and the rest goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ragmesh.generation.adapters.invisible import visible

HELD_CHARACTERS = 64
_OPENERS = re.compile(r"\s*[\[!<]")
_TRAILING_SPACE = re.compile(r"\s+\Z")
_NUMBERS = re.compile(r"\s*(?:sources?\s*|\^)?\d+(?:\s*(?:,|;|and|-|\N{EN DASH})\s*\d+)*\s*", re.I)
_RANGE = re.compile(r"(\d+)\s*[-\N{EN DASH}]\s*(\d+)")
_DIGITS = re.compile(r"\d+")
_MOST_DIGITS = 4
_TAG_NAME = re.compile(r"</?([A-Za-z][\w.-]*)")
_BARE_TAG = re.compile(r"</?[A-Za-z][\w.-]*\s*/?>")
_MAYBE_TAG = re.compile(r"</?(?:[A-Za-z][\w.-]*\s*/?)?\Z")
_LOADING = frozenset(
    {
        *("audio", "base", "body", "embed", "form", "frame", "iframe", "image", "img", "input"),
        *("link", "meta", "object", "picture", "script", "source", "style", "svg", "table"),
        *("track", "video"),
    }
)
"""Elements that fetch something by themselves where the answer is shown."""
_QUOTE = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
"""Stands for a `<` that may not begin an element."""
_STICKS_TO_MARKERS = ("(", "[", ":")
"""Directly after a marker they would turn it into a link or a definition."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The model refers to the source of this number."""

    number: int


Piece = str | Marker


@dataclass(slots=True)
class HoldBack:
    """The filter of one answer; what comes out is text to show and markers to look up."""

    sources: int
    """How many were given; a marker of any other is dropped."""
    _held: str = ""
    _dropping: re.Pattern[str] | None = None
    """What ends the link target or element that is being dropped."""
    _after_marker: bool = False
    _owed: str = ""
    """Space before a marker that was dropped; the next marker, if it follows, stands there."""
    _pieces: list[Piece] = field(default_factory=list)

    def feed(self, text: str) -> list[Piece]:
        """What may be shown now that this has come, too."""
        self._held += visible(text)
        while self._held and self._step(last=False):
            pass
        return self._taken()

    def end(self) -> list[Piece]:
        """What may be shown of the rest, now that nothing more will come."""
        while self._held:
            self._step(last=True)
        return self._taken()

    def _taken(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _step(self, *, last: bool) -> bool:
        """Take the next run of the held text; False when more must come before it is clear."""
        if self._dropping is not None:
            return self._drop(self._dropping)
        match = _OPENERS.search(self._held)
        if match is None:
            space = None if last else _TRAILING_SPACE.search(self._held)
            # Space may belong to a marker that is about to be dropped.
            return self._let_through(len(self._held) if space is None else space.start())
        if match.start():
            return self._let_through(match.start())
        opener = self._held[match.end() - 1]
        begun = self._held[match.end() - 1 :]
        space_before = match.end() - 1
        decide = {"[": self._bracket, "!": self._bang, "<": self._angle}[opener]
        waits = not last and len(begun) < HELD_CHARACTERS
        return decide(space_before, begun, waits=waits)

    def _let_through(self, length: int) -> bool:
        text, self._held = self._held[:length], self._held[length:]
        self._say(text)
        return bool(text)

    def _say(self, text: str) -> None:
        if not text:
            return
        if self._after_marker and text.startswith(_STICKS_TO_MARKERS):
            text = f" {text}"
        self._after_marker = False
        self._owed = ""
        self._pieces.append(text)

    def _replace(self, length: int, text: str) -> bool:
        """Take so much of what is held, and say this in its place."""
        self._held = self._held[length:]
        self._say(text)
        return True

    def _bracket(self, space: int, begun: str, *, waits: bool) -> bool:
        """A citation, a link, or nothing but a bracket."""
        close = begun.find("]", 0, HELD_CHARACTERS)
        inner = begun[1 : HELD_CHARACTERS if close < 0 else close]
        clear = "\n" in inner or "[" in inner
        if close < 0 and waits and not clear:
            return False
        if close >= 0 and _NUMBERS.fullmatch(inner):
            return self._markers(space, inner, close + 1)
        # What was not closed in time, or looks like a number and is none, must not become a marker.
        harmless = close < 0 and not clear and inner.lstrip()[:1].isdigit()
        before = self._held[:space]
        return self._replace(space + 1, before + ("(" if harmless else "["))

    def _markers(self, space: int, inner: str, length: int) -> bool:
        """A marker for each number; the space before stays with the first one."""
        before, self._held = self._held[:space], self._held[space + length :]
        numbers = [number for number in _numbers(inner) if 1 <= number <= self.sources]
        if not numbers:
            self._owed = self._owed or before
            return True
        self._say(before or self._owed)
        self._pieces.extend(Marker(number) for number in numbers)
        self._after_marker = True
        return True

    def _bang(self, space: int, begun: str, *, waits: bool) -> bool:
        """An image, which is dropped, or an exclamation mark."""
        if len(begun) == 1 and waits:
            return False
        if not begun.startswith("!["):
            return self._replace(space + 1, self._held[: space + 1])
        close = begun.find("]", 0, HELD_CHARACTERS)
        if close < 0 and waits:
            return False
        if close < 0 or "\n\n" in begun[:close]:
            return self._replace(space + 2, f"{self._held[:space]}(")
        if len(begun) == close + 1 and waits:
            return False  # its target may follow
        target = begun[close + 1 : close + 2]
        self._held = self._held[space + close + 1 :]
        if target in {"(", "["}:
            self._dropping = re.compile(r"\)|\n\s*\n" if target == "(" else r"\]|\n\s*\n")
        return True

    def _angle(self, space: int, begun: str, *, waits: bool) -> bool:
        """An element that loads something is dropped, one with attributes is made text."""
        named = _TAG_NAME.match(begun)
        if _MAYBE_TAG.fullmatch(begun) and waits:
            return False
        if named is not None and named[1].lower() in _LOADING:
            self._held = self._held[space:]
            self._dropping = re.compile(r">|\n\s*\n")
            return True
        before = self._held[:space]
        bare = _BARE_TAG.match(begun)
        if bare is not None:
            return self._replace(space + bare.end(), before + bare.group())
        opens = named is not None or begun.startswith(("<!", "<?"))
        return self._replace(space + 1, before + (_QUOTE if opens else "<"))

    def _drop(self, end: re.Pattern[str]) -> bool:
        match = end.search(self._held)
        if match is None:
            # A blank line may come in two pieces.
            self._held = "\n" if self._held.endswith("\n") and len(self._held) > 1 else ""
            return False
        self._held = self._held[match.end() :]
        self._dropping = None
        return True


def _numbers(inner: str) -> list[int]:
    """The numbers of a marker, ranges written out; none that is absurdly long."""
    if any(len(digits) > _MOST_DIGITS for digits in _DIGITS.findall(inner)):
        return []
    spelt = _RANGE.sub(lambda match: ",".join(map(str, _span(match))), inner)
    return [int(digits) for digits in _DIGITS.findall(spelt)]


def _span(match: re.Match[str]) -> range:
    first, last = int(match[1]), int(match[2])
    return range(first, min(last, first + 9) + 1)
