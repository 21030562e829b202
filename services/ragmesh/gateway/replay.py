"""A finished answer as the stream that it once was."""

from __future__ import annotations

from collections.abc import Iterator

from ragmesh.core.answers import Answer, Citation, Delta


def replay(answer: Answer) -> Iterator[Delta | Citation]:
    """The answer's text in pieces, each citation right after the first marker that names it."""
    position = 0
    late: list[Citation] = []
    for citation in answer.citations:
        found = answer.answer.find(citation.marker, position)
        if found < 0:
            late.append(citation)
            continue
        end = found + len(citation.marker)
        yield Delta(answer.answer[position:end])
        yield citation
        position = end
    if position < len(answer.answer):
        yield Delta(answer.answer[position:])
    yield from late
