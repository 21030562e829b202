"""What reading a file gives: its text with structure, and the chunks made from it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from ragmesh.core.index import ChunkDraft
from ragmesh.core.properties import NO_PROPERTIES, FileProperties
from ragmesh.core.spans import Span

Value = TypeVar("Value")

EXTRACTION_FORMAT = 1
"""Number of the stored form of an extraction; a reader refuses one it does not know."""

MIN_CHUNK_TOKENS = 16
"""Chunks smaller than this could not hold a sentence."""


CHARACTERS_PER_TOKEN = 2.5
"""What a token is taken for where no tokenizer is known; few languages have more tokens."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was uploaded; the bytes decide what it is, the names only tell texts apart."""

    content: bytes = field(repr=False)
    filename: str = ""
    content_type: str = ""
    """What the sender claims."""


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How a text is split: in tokens of the encoder that will read the chunks."""

    tokenizer: bytes = field(repr=False)
    """The encoder's `tokenizer.json`; empty when it has none: see `CHARACTERS_PER_TOKEN`."""
    max_tokens: int
    """Most content tokens of a chunk."""
    overlap_tokens: int = 0
    """Most tokens of whole sentences that a chunk repeats from the one before it."""
    language: str = ""
    """Assumed where a text does not show its language."""

    def __post_init__(self) -> None:
        if self.max_tokens < MIN_CHUNK_TOKENS:
            raise ValueError(f"a chunk holds at least {MIN_CHUNK_TOKENS} tokens")
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ValueError("chunks overlap by at most half their size")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: where it stands in the text, how deep, and its words without markup."""

    span: Span
    level: int
    title: str

    def __post_init__(self) -> None:
        if self.level < 1:
            raise ValueError("heading levels start at 1")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The text of a revision in NFC, with the structure that splitting needs.

    It is stored beside the source, so that a changed chunker needs no second upload. Every offset
    counts code points of `text`.
    """

    text: str = field(repr=False)
    title: str
    """The document's own title, else the file's name; empty when there is neither."""
    content_type: str
    """What the bytes turned out to be."""
    pages: tuple[int, ...] = ()
    """Where each page starts, the first at index 0; empty when the format has no pages."""
    headings: tuple[Heading, ...] = ()
    line_regions: tuple[Span, ...] = ()
    """Where every line stands for itself (tables, lists, code); elsewhere line ends are soft."""
    properties: FileProperties = NO_PROPERTIES

    def __post_init__(self) -> None:
        if list(self.pages) != sorted(self.pages):
            raise ValueError("pages are in order")
        if self.pages and not 0 <= self.pages[0] <= self.pages[-1] <= len(self.text):
            raise ValueError("pages lie within the text")
        _check_order([heading.span for heading in self.headings], len(self.text))
        _check_order(self.line_regions, len(self.text))

    def to_json(self) -> bytes:
        """The stored form."""
        return json.dumps(
            {
                "format": EXTRACTION_FORMAT,
                "title": self.title,
                "content_type": self.content_type,
                "pages": self.pages,
                "headings": [[h.span.start, h.span.end, h.level, h.title] for h in self.headings],
                "line_regions": [[span.start, span.end] for span in self.line_regions],
                "properties": self.properties.fields(),
                "text": self.text,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()

    @classmethod
    def from_json(cls, stored: bytes) -> Extraction:
        """The extraction of a stored form; ValueError when it is not one of a known format."""
        fields = json.loads(stored)
        if not isinstance(fields, dict) or fields.get("format") != EXTRACTION_FORMAT:
            raise ValueError("not an extraction of a known format")
        try:
            return cls(
                text=_typed(fields["text"], str),
                title=_typed(fields["title"], str),
                content_type=_typed(fields["content_type"], str),
                pages=tuple(_typed(page, int) for page in fields["pages"]),
                headings=tuple(_heading(*row) for row in fields["headings"]),
                line_regions=tuple(Span(start, end) for start, end in fields["line_regions"]),
                # Texts that an earlier version stored come without.
                properties=FileProperties.of(fields.get("properties", {})),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("not an extraction") from error


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A file that was read: its text with structure, and its chunks in order."""

    extraction: Extraction
    chunks: tuple[ChunkDraft, ...]


class Sandbox(Enum):
    """How much must stand around the processes that read foreign files."""

    REQUIRED = "required"
    """Every wall; where one cannot be raised, nothing is read."""
    BEST_EFFORT = "best-effort"
    """Every wall that can be raised; the log and `doctor` name those that cannot."""

    @classmethod
    def default(cls) -> Sandbox:
        """What is possible where this runs: only Linux has all the walls."""
        return cls.REQUIRED if sys.platform.startswith("linux") else cls.BEST_EFFORT


@dataclass(frozen=True, slots=True)
class MissingWall:
    """A wall that could not be raised, and why."""

    name: str
    cause: str

    def __str__(self) -> str:
        return f"{self.name} ({self.cause})"


@dataclass(frozen=True, slots=True)
class StartCost:
    """What it takes to start a process that reads foreign files."""

    total_ms: float = 0.0
    """From its first line to its readiness; importing every parser is most of it."""
    walls_ms: float = 0.0
    resident_bytes: float = 0


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which walls stand around the processes that read foreign files."""

    active: tuple[str, ...]
    missing: tuple[MissingWall, ...] = ()
    user: str = ""
    """Who the processes run as, in words."""
    cost: StartCost = field(default=StartCost(), compare=False)

    @property
    def mode(self) -> str:
        """`sealed` when every wall stands, else `best-effort`."""
        return Sandbox.BEST_EFFORT.value if self.missing else "sealed"


def _check_order(spans: tuple[Span, ...] | list[Span], length: int) -> None:
    end = 0
    for span in spans:
        if span.start < end or span.end > length:
            raise ValueError("spans lie within the text, in order and apart from each other")
        end = span.end


def _heading(start: Any, end: Any, level: Any, title: Any) -> Heading:
    return Heading(Span(start, end), level, _typed(title, str))


def _typed(value: Any, kind: type[Value]) -> Value:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}")
    return value
