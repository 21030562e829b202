"""What requests and answers mean, on both sides of the pipe.

A request is `tokenizer` (keep it), `read` (a file) or `split` (a stored extraction). The answer's
body holds the stored form of the extraction, then the chunks as one JSON array; a chunk's text is
not sent, because its span names it.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from ragmesh.core.errors import (
    EncryptedFileError,
    HostileFileError,
    NoTextError,
    OutputTooLargeError,
    RagmeshError,
    UnreadableFileError,
    UnsupportedFormatError,
)
from ragmesh.core.index import ChunkDraft, gap_between
from ragmesh.core.reading import Confinement, Extraction, MissingWall, StartCost
from ragmesh.core.spans import Span
from ragmesh.indexing.parser.frames import MAX_ANSWER, Frame, FrameError

VERDICTS: dict[str, type[RagmeshError]] = {
    error.reason: error
    for error in (
        EncryptedFileError,
        HostileFileError,
        NoTextError,
        OutputTooLargeError,
        UnreadableFileError,
        UnsupportedFormatError,
    )
}
"""The only errors that a parser process may give as its verdict on a file."""

_LOADABLE = re.compile(r"[\w./-]{1,200}", re.ASCII)


def ready(confinement: Confinement) -> Frame:
    """The process is warm and confined."""
    return Frame(
        {
            "ready": True,
            "active": confinement.active,
            "missing": [[wall.name, wall.cause] for wall in confinement.missing],
            "user": confinement.user,
            "cost": asdict(confinement.cost),
        }
    )


def confinement_of(frame: Frame) -> Confinement:
    """The walls that a ready frame names."""
    if frame.header.get("ready") is not True:
        raise FrameError("the process is not ready")
    missing, user = frame.header.get("missing"), frame.header.get("user")
    if not isinstance(missing, list) or not isinstance(user, str):
        raise FrameError("the process does not say how it is confined")
    walls = tuple(MissingWall(*_pair(wall)) for wall in missing)
    try:
        cost = StartCost(**{name: float(value) for name, value in frame.header["cost"].items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FrameError("the process does not say what its start took") from error
    return Confinement(_names(frame.header.get("active")), walls, user, cost)


def with_late_loads(frame: Frame, names: Sequence[str]) -> Frame:
    """An answer that also says what its parser reached for behind the walls."""
    return Frame({**frame.header, "late": list(names)}, frame.body) if names else frame


def late_loads(frame: Frame) -> tuple[str, ...]:
    """What a parser reached for behind the walls; only what looks like a name of it."""
    names = frame.header.get("late", [])
    if not isinstance(names, list):
        raise FrameError("late loads are no list")
    return tuple(name for name in names if isinstance(name, str) and _LOADABLE.fullmatch(name))


def _pair(value: Any) -> tuple[str, str]:
    match _names(value):
        case (name, cause):
            return name, cause
        case _:
            raise FrameError("not a wall and its cause")


def verdict(error: RagmeshError) -> Frame:
    """The file cannot be read, and why."""
    return Frame(
        {"reason": error.reason, "message": error.message, "metadata": dict(error.metadata)}
    )


def defect(error: Exception) -> Frame:
    """The process itself is wrong: what was raised where, without a word of the file."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return Frame({"defect": f"{type(error).__name__} in {place.name}, line {place.lineno}"})


def answer(extraction: Extraction | None, chunks: Sequence[ChunkDraft]) -> Frame:
    """What was read; OutputTooLargeError when it is more than may be sent."""
    text = b"" if extraction is None else extraction.to_json()
    rows = [
        [
            chunk.span.start,
            chunk.span.end,
            chunk.headings,
            chunk.page,
            chunk.token_count,
            [position for span in chunk.sentences for position in (span.start, span.end)],
        ]
        for chunk in chunks
    ]
    body = text + json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    _require_room(len(body))
    return Frame({"extraction": len(text)}, body)


def require_sendable(text: str) -> None:
    """OutputTooLargeError before a text is split that is too large to be sent anyway."""
    _require_room(len(text))


def _require_room(size: int) -> None:
    if size > MAX_ANSWER:
        raise OutputTooLargeError(
            f"the text and its chunks are larger than {MAX_ANSWER >> 20} MB; split the file",
            metadata={"limit": str(MAX_ANSWER)},
        )


def raise_verdict(frame: Frame) -> None:
    """Raise what the process says about the file, if that is a verdict it may give."""
    if "defect" in frame.header:
        raise FrameError(str(frame.header["defect"])[:200])
    reason = frame.header.get("reason")
    if reason is None:
        return
    message, metadata = frame.header.get("message"), frame.header.get("metadata")
    if reason not in VERDICTS or not isinstance(message, str) or not isinstance(metadata, dict):
        raise FrameError("not a verdict on a file")
    raise VERDICTS[reason](message[:300], metadata={str(k): str(v) for k, v in metadata.items()})


def read_answer(frame: Frame) -> tuple[Extraction, tuple[ChunkDraft, ...]]:
    """The extraction and chunks of an answer to `read`."""
    size = frame.header.get("extraction")
    if not isinstance(size, int) or not 0 < size <= len(frame.body):
        raise FrameError("an answer without an extraction")
    try:
        extraction = Extraction.from_json(frame.body[:size])
    except (ValueError, RecursionError) as error:
        raise FrameError("an answer's extraction is malformed") from error
    return extraction, read_chunks(frame, extraction)


def read_chunks(frame: Frame, extraction: Extraction) -> tuple[ChunkDraft, ...]:
    """The chunks of an answer, each checked against the text it is said to be of."""
    size = frame.header.get("extraction")
    if not isinstance(size, int):
        raise FrameError("an answer without a size")
    try:
        rows = json.loads(frame.body[size:])
        drafts: list[ChunkDraft] = []
        for row in rows:
            drafts.append(_chunk(drafts, row, extraction.text))
        return tuple(drafts)
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError("an answer's chunks are malformed") from error


def _chunk(before: Sequence[ChunkDraft], row: list[Any], text: str) -> ChunkDraft:
    start, end, headings, page, tokens, positions = row
    span = Span(start, end)
    content = span.of(text)
    sentences = tuple(map(Span, positions[::2], positions[1::2]))
    wrong = (
        end > len(text)
        or not content.strip()
        or not isinstance(tokens, int)
        or not (page is None or isinstance(page, int))
        or len(positions) % 2
        or any(inner.end > end - start for inner in sentences)
        or any(before.end > after.start for before, after in pairwise(sentences))
    )
    if wrong:
        raise ValueError("a chunk does not fit its text")
    gap = gap_between(text, before[-1].span.end, start) if before else ""
    return ChunkDraft(len(before), content, span, _names(headings), page, tokens, sentences, gap)


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise FrameError("not a list of names")
    return tuple(value)
