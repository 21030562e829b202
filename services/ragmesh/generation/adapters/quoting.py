"""Quotes: runs of a hit's text that stand letter for letter in its document."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ragmesh.core.answers import Citation
from ragmesh.core.search import Hit
from ragmesh.core.spans import Span

MAX_QUOTE_CHARACTERS = 600
"""A longer sentence (a table without full stops, say) is quoted up to the word before."""
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Quote:
    """A run of a hit's text."""

    hit: Hit
    span: Span
    """Within the hit's text."""

    @property
    def text(self) -> str:
        """Its words, letter for letter."""
        return self.span.of(self.hit.text)

    @property
    def place(self) -> Span:
        """Within the document's text."""
        return self.span.shifted(self.hit.span.start)

    def citation(self, marker: str) -> Citation:
        """The citation that an answer refers to by this marker."""
        hit = self.hit
        return Citation(
            marker=marker,
            document_uid=hit.document_uid,
            document_id=hit.document_id,
            revision=hit.revision,
            title=hit.title,
            chunk_id=hit.chunk_id,
            quote=self.text,
            span=self.place,
            page=hit.page,
            headings=hit.headings,
        )

    def repeats(self, other: Quote) -> bool:
        """Whether it says what the other one says: the same place, or the same words."""
        here, there = self.place, other.place
        same_document = self.hit.document_uid == other.hit.document_uid
        if same_document and here.start < there.end and there.start < here.end:
            return True
        return one_line(self.text).casefold() == one_line(other.text).casefold()


def quote_of(hit: Hit, span: Span) -> Quote:
    """The span without the white space around it, cut at a word when it is too long."""
    text = span.of(hit.text)
    start = span.start + len(text) - len(text.lstrip())
    text = text.strip()
    if len(text) > MAX_QUOTE_CHARACTERS:
        head = text[: MAX_QUOTE_CHARACTERS + 1]
        words = _SPACES.split(head)
        text = head[: len(head) - len(words[-1])].rstrip() if len(words) > 1 else head[:-1]
    return Quote(hit, Span(start, start + len(text)))


def one_line(text: str) -> str:
    """The text with each run of white space as one space."""
    return _SPACES.sub(" ", text).strip()
