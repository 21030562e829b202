"""Spans of text, counted in Unicode code points."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range [start, end) of code points of a stored NFC text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def of(self, text: str) -> str:
        """The part of the text that this span names."""
        return text[self.start : self.end]

    def shifted(self, offset: int) -> Span:
        """The same length, `offset` code points later."""
        return Span(self.start + offset, self.end + offset)
