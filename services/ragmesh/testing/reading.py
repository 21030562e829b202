"""A reader without processes or parsers, for tests of what comes after reading."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ragmesh.core.errors import NoTextError, RagmeshError, UnreadableFileError
from ragmesh.core.index import ChunkDraft
from ragmesh.core.reading import ChunkPlan, Extraction, ReadDocument, SourceFile
from ragmesh.core.spans import Span

_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_GAP = re.compile(r"\n[ \t]*\n")


class FakeReader:
    """Reads UTF-8 text: a word is a token, a paragraph a chunk if it fits, else its sentences are.

    It obeys what the real reader promises: spans count code points of the NFC text, every visible
    character is in a chunk, no chunk is larger than the plan allows.
    """

    def __init__(self) -> None:
        self.refusals: dict[str, RagmeshError] = {}
        """Errors to raise, by file name."""
        self.read_files: list[str] = []
        """Names of the files that were read, in order."""
        self.plans: list[ChunkPlan] = []
        """How each of those files was to be split."""
        self.splits = 0
        """How often a stored text was split again."""

    async def read(self, source: SourceFile, plan: ChunkPlan) -> ReadDocument:
        """The text of a file and its chunks."""
        self.read_files.append(source.filename)
        self.plans.append(plan)
        if source.filename in self.refusals:
            raise self.refusals[source.filename]
        try:
            text = unicodedata.normalize("NFC", source.content.decode())
        except UnicodeDecodeError as error:
            raise UnreadableFileError("not UTF-8") from error
        if not text.strip():
            raise NoTextError("the file holds no text")
        extraction = Extraction(text, source.filename, "text/plain")
        return ReadDocument(extraction, _chunks(text, plan))

    async def split(self, extraction: Extraction, plan: ChunkPlan) -> tuple[ChunkDraft, ...]:
        """The chunks of a text that was read before."""
        self.splits += 1
        return _chunks(extraction.text, plan)


def _chunks(text: str, plan: ChunkPlan) -> tuple[ChunkDraft, ...]:
    pieces = [
        piece
        for paragraph in _between(_GAP, text, Span(0, len(text)))
        for piece in _fitting(text, paragraph, plan.max_tokens)
    ]
    return tuple(
        ChunkDraft(
            ordinal=ordinal,
            text=piece.of(text),
            span=piece,
            headings=(),
            page=None,
            token_count=_tokens(text, piece),
            sentences=tuple(
                sentence.shifted(-piece.start) for sentence in _between(_SENTENCE_END, text, piece)
            ),
        )
        for ordinal, piece in enumerate(pieces)
    )


def _fitting(text: str, span: Span, max_tokens: int) -> Iterator[Span]:
    if _tokens(text, span) <= max_tokens:
        yield span
        return
    words = [word.span() for word in _WORD.finditer(text, span.start, span.end)]
    for first in range(0, len(words), max_tokens):
        taken = words[first : first + max_tokens]
        yield Span(taken[0][0], taken[-1][1])


def _tokens(text: str, span: Span) -> int:
    return sum(1 for _ in _WORD.finditer(text, span.start, span.end))


def _between(end: re.Pattern[str], text: str, span: Span) -> Iterator[Span]:
    """The parts that a pattern ends, without white space around them."""
    start = span.start
    for stop in [*(match.end() for match in end.finditer(text, span.start, span.end)), span.end]:
        part = text[start:stop]
        if part.strip():
            begin = start + len(part) - len(part.lstrip())
            yield Span(begin, begin + len(part.strip()))
        start = stop
