"""The context of an answer: what was found without repeats, neighbours joined, within a budget."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from ragmesh.core.search import Hit
from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors

MOST_JOINED_TOKENS = 768
"""A passage grows no longer: an engine picks the best passages, and all of a document is none."""
_SHINGLE_WORDS = 4
_REPEATED_SHARE = 0.8
"""So much of a repeat must stand in the same order in what it repeats."""
_WORD = re.compile(r"[+#/%°-]*\w[\w+#/%°-]*")


@dataclass(frozen=True, slots=True)
class Found:
    """A hit and its place in its document."""

    hit: Hit
    ordinal: int
    gap: str
    """White space between the chunk before and this one, where it is known."""


def without_repeats(found: Iterable[Found], *, beside: Sequence[Found] = ()) -> list[Found]:
    """What says something that nothing before it says, nor what it stands beside.

    A chunk repeats others when it has no word that one of them lacks and most of it stands there
    in the same order: copies, excerpts, boilerplate. A number or a name that differs is news.
    """
    told = [_Told(one.hit.text) for one in beside]
    fresh = []
    for one in found:
        telling = _Told(one.hit.text)
        if not any(telling.repeats(other) for other in told):
            told.append(telling)
            fresh.append(one)
    return fresh


def within_budget(found: Sequence[Found], budget: int) -> list[Found]:
    """What fits together, best first; one that is too long gives way to shorter ones."""
    kept, left = [], budget
    for one in found:
        if one.hit.token_count <= left:
            kept.append(one)
            left -= one.hit.token_count
    return kept


def joined(found: Sequence[Found]) -> tuple[Hit, ...]:
    """The hits, with chunks that follow each other in a section made one at the better one's place.

    The joined hit keeps the id, the score and the ranks of its best chunk; its text, its span and
    its sentences are those of the whole run, letter for letter as the document has them.
    """
    hits: dict[int, Hit] = {}
    for run in _runs(found):
        first = min(place for place, _ in run)
        hits[first] = _one(run)
    return tuple(hits[place] for place in sorted(hits))


class _Told:
    """What a text says, apart from letter case, punctuation and white space."""

    def __init__(self, text: str) -> None:
        self._spoken: list[str] = _WORD.findall(text.casefold())
        self._words = frozenset(self._spoken)

    def repeats(self, other: _Told) -> bool:
        if not self._words <= other._words:
            return False
        return len(self._shingles & other._shingles) >= _REPEATED_SHARE * len(self._shingles)

    @cached_property
    def _shingles(self) -> frozenset[tuple[str, ...]]:
        """Made when they are asked for: most texts have a word that the others lack."""
        starts = range(max(1, len(self._spoken) - _SHINGLE_WORDS + 1))
        return frozenset(tuple(self._spoken[at : at + _SHINGLE_WORDS]) for at in starts)


_Placed = tuple[int, Found]
"""A hit with its place among all."""


def _runs(found: Sequence[Found]) -> list[list[_Placed]]:
    """Chunks that follow each other, by document; every hit is in one run."""
    placed = sorted(
        enumerate(found),
        key=lambda one: (one[1].hit.document_uid, one[1].hit.revision, one[1].ordinal),
    )
    runs: list[list[_Placed]] = [placed[:1]] if placed else []
    for (_, before), one in pairwise(placed):
        tokens = sum(each.hit.token_count for _, each in runs[-1]) + one[1].hit.token_count
        if _follows(before, one[1]) and tokens <= MOST_JOINED_TOKENS:
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _follows(before: Found, after: Found) -> bool:
    """Whether both can be joined: neighbours in one section, with nothing unknown between them."""
    one, other = before.hit, after.hit
    if (one.document_uid, one.revision, before.ordinal + 1) != (
        other.document_uid,
        other.revision,
        after.ordinal,
    ):
        return False
    if (one.page, one.headings) != (other.page, other.headings):
        return False
    if (one.sentence_vectors is None) is not (other.sentence_vectors is None):
        return False
    shared = one.span.end - other.span.start
    if shared <= 0:
        return len(after.gap) == -shared
    return other.text[:shared] == one.text[-shared:] and not any(
        sentence.span.start < shared < sentence.span.end for sentence in other.sentences
    )


def _one(run: Sequence[_Placed]) -> Hit:
    """One hit of a run of chunks."""
    _, best = min(run, key=lambda one: one[0])
    if len(run) == 1:
        return best.hit
    whole = run[0][1].hit
    for _, one in run[1:]:
        whole = _extended(whole, one)
    return replace(
        best.hit,
        text=whole.text,
        span=whole.span,
        similarity=max(one.hit.similarity for _, one in run),
        token_count=sum(one.hit.token_count for _, one in run),
        sentences=whole.sentences,
        sentence_vectors=whole.sentence_vectors,
    )


def _extended(whole: Hit, after: Found) -> Hit:
    """The text with the next chunk behind it; what both hold stands there once."""
    hit = after.hit
    shared = max(0, whole.span.end - hit.span.start)
    offset = hit.span.start - whole.span.start
    fresh = [at for at, one in enumerate(hit.sentences) if one.span.start >= shared]
    chosen = [hit.sentences[at] for at in fresh]
    moved = [replace(one, span=one.span.shifted(offset)) for one in chosen]
    return replace(
        whole,
        text=whole.text + after.gap + hit.text[shared:],
        span=Span(whole.span.start, max(whole.span.end, hit.span.end)),
        sentences=(*whole.sentences, *moved),
        sentence_vectors=_with_rows(whole.sentence_vectors, hit.sentence_vectors, fresh),
    )


def _with_rows(
    whole: SentenceVectors | None, more: SentenceVectors | None, rows: Sequence[int]
) -> SentenceVectors | None:
    if whole is None or more is None:
        return None
    size = len(more.values) // max(1, more.count)
    chosen = b"".join(more.values[at * size : (at + 1) * size] for at in rows)
    return SentenceVectors(whole.dimension, whole.values + chosen)
