"""Splits an extraction into chunks that follow its structure and fit its encoder.

A chunk never crosses a heading, unless the section above holds too little to stand alone. It
begins and ends with a whole sentence and holds as many as fit, evenly. Headings are part of the
chunk's text but not of its sentences, so that no answer quotes a bare heading; a chunk of nothing
but headings has them as its sentences. Every visible character of the text is in a chunk.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ragmesh.core.index import ChunkDraft, gap_between
from ragmesh.core.reading import ChunkPlan, Extraction, Heading
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.languages import language_of
from ragmesh.indexing.parser.packing import Room, Unit, pack
from ragmesh.indexing.parser.sentences import sentences_of, shortened, trimmed
from ragmesh.indexing.parser.tokens import Counter

_CHARACTERS_PER_TOKEN = 16
"""A chunk is bounded in characters too: a tokenizer may see a long word as one unknown token."""
_TITLE_CHARACTERS = 1_000
"""A heading stands in every chunk below it: one of a megabyte would be stored a thousand times."""
_LEAST_SHARE = 8
"""A section under this part of a chunk joins the one after it."""


@dataclass(frozen=True, slots=True)
class _Section:
    """Units under one heading path."""

    path: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def tokens(self) -> int:
        return sum(unit.tokens for unit in self.units)


def split(extraction: Extraction, plan: ChunkPlan, counter: Counter) -> list[ChunkDraft]:
    """The chunks of a text in order."""
    return _Splitter(extraction, plan, counter).chunks()


class _Splitter:
    def __init__(self, extraction: Extraction, plan: ChunkPlan, counter: Counter) -> None:
        self._text = extraction.text
        self._extraction = extraction
        self._plan = plan
        self._counter = counter
        self._language = language_of(extraction.text, otherwise=plan.language)
        self._room = Room(
            plan.max_tokens - plan.overlap_tokens, plan.max_tokens * _CHARACTERS_PER_TOKEN
        )

    def chunks(self) -> list[ChunkDraft]:
        """The chunks, numbered."""
        drafts: list[ChunkDraft] = []
        for section in self._joined(list(self._sections())):
            before: Sequence[Unit] = ()  # overlap stays within the section
            for first, last in pack(section.units, self._room):
                for units, tokens in self._fitting(section.units[first:last]):
                    lead = self._lead(before)
                    whole = (*lead, *units)
                    count = self._count(whole) if lead else tokens
                    drafts.append(self._draft(drafts, section.path, whole, count))
                    before = units
        return drafts

    def _sections(self) -> Iterator[_Section]:
        """One section a heading, and what stands before the first."""
        headings: Sequence[Heading | None] = (None, *self._extraction.headings)
        path: list[Heading] = []
        for position, heading in enumerate(headings):
            following = headings[position + 1 : position + 2]
            end = following[0].span.start if following and following[0] else len(self._text)
            units: list[Unit] = []
            start = 0
            if heading is not None:
                path = [above for above in path if above.level < heading.level] + [heading]
                start = heading.span.end
                units += self._units([heading.span], heading=True)
            units += self._body(Span(start, max(start, end)))
            if units:
                titles = tuple(above.title[:_TITLE_CHARACTERS] for above in path)
                yield _Section(titles, tuple(units))

    def _body(self, span: Span) -> Iterator[Unit]:
        """The sentences of a section's body, inside and outside line regions."""
        for part, lines in self._parts(span):
            sentences = sentences_of(self._text, part, lines=lines, language=self._language)
            yield from self._units(sentences, heading=False)

    def _parts(self, span: Span) -> Iterator[tuple[Span, bool]]:
        start = span.start
        regions = self._extraction.line_regions
        position = bisect_right(regions, span.start, key=lambda region: region.end)
        while position < len(regions) and regions[position].start < span.end:
            region = regions[position]
            inside = Span(max(region.start, start), min(region.end, span.end))
            yield Span(start, inside.start), False
            yield inside, True
            start = inside.end
            position += 1
        yield Span(start, span.end), False

    def _units(self, spans: Iterable[Span], *, heading: bool) -> Iterator[Unit]:
        for span in spans:
            for piece, tokens in self._small(span):
                before = self._text[max(0, piece.start - 2) : piece.start]
                opens = piece.start == 0 or before.endswith("\n\n") or heading
                yield Unit(piece, tokens, heading, opens)

    def _small(self, span: Span) -> Iterator[tuple[Span, int]]:
        """The span in pieces that each fit a chunk, with their tokens."""
        whole = trimmed(self._text, span)
        if whole is None:
            return
        waiting = list(shortened(self._text, whole, self._room.characters))[::-1]
        while waiting:
            piece = waiting.pop()
            length = piece.end - piece.start
            tokens = self._counter.count(piece.of(self._text))
            if length == 1 or tokens <= self._room.tokens:
                yield piece, tokens
            else:
                waiting += list(shortened(self._text, piece, max(1, length * 2 // 3)))[::-1]

    def _joined(self, sections: Sequence[_Section]) -> list[_Section]:
        """Sections with those too small to stand alone put before the one after them."""
        joined: list[_Section] = []
        for section in sections:
            if joined and self._joins(joined[-1], section):
                before = joined.pop()
                bare = all(unit.heading for unit in before.units)
                path = section.path if bare else _shared(before.path, section.path)
                section = _Section(path, before.units + section.units)
            joined.append(section)
        if len(joined) > 1 and all(unit.heading for unit in joined[-1].units):
            last = joined.pop()
            joined[-1] = _Section(joined[-1].path, joined[-1].units + last.units)
        return joined

    def _joins(self, before: _Section, after: _Section) -> bool:
        if all(unit.heading for unit in before.units):
            return before.tokens <= self._room.tokens  # a list of headings ends somewhere
        together = before.tokens + after.tokens
        return before.tokens < self._room.tokens // _LEAST_SHARE and together <= self._room.tokens

    def _fitting(self, units: Sequence[Unit]) -> Iterator[tuple[Sequence[Unit], int]]:
        """Packed units, parted again where the tokens of the whole are more than of the parts."""
        tokens = units[0].tokens if len(units) == 1 else self._count(units)
        if len(units) == 1 or tokens <= self._room.tokens:
            yield units, tokens
            return
        middle = len(units) // 2
        yield from self._fitting(units[:middle])
        yield from self._fitting(units[middle:])

    def _count(self, units: Sequence[Unit]) -> int:
        return self._counter.count(self._text[units[0].span.start : units[-1].span.end])

    def _lead(self, before: Sequence[Unit]) -> Sequence[Unit]:
        """The last sentences of the chunk before, within the plan's overlap, but never all."""
        first = len(before)
        tokens = 0
        while first > 1 and not before[first - 1].heading:
            tokens += before[first - 1].tokens
            if tokens > self._plan.overlap_tokens:
                break
            first -= 1
        return before[first:]

    def _draft(
        self,
        before: Sequence[ChunkDraft],
        path: tuple[str, ...],
        units: Sequence[Unit],
        tokens: int,
    ) -> ChunkDraft:
        span = Span(units[0].span.start, units[-1].span.end)
        text = span.of(self._text)
        # Rules of tables and the like are part of the text, but nothing to quote.
        body = [u.span for u in units if not u.heading and _says_something(u.span.of(self._text))]
        return ChunkDraft(
            ordinal=len(before),
            text=text,
            span=span,
            headings=path,
            page=self._page(span.start),
            token_count=tokens,
            sentences=tuple(
                sentence.shifted(-span.start) for sentence in body or [u.span for u in units]
            ),
            gap=gap_between(self._text, before[-1].span.end, span.start) if before else "",
        )

    def _page(self, offset: int) -> int | None:
        pages = self._extraction.pages
        return max(1, bisect_right(pages, offset)) if pages else None


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The headings above both."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]
