"""What the pool believes of what a parser process says."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from ragmesh.core.errors import HostileFileError, OutputTooLargeError
from ragmesh.core.reading import ChunkPlan, Confinement, Extraction, MissingWall
from ragmesh.indexing.parser import messages
from ragmesh.indexing.parser.chunker import split
from ragmesh.indexing.parser.confinement import Limits
from ragmesh.indexing.parser.frames import (
    LENGTHS,
    MAX_HEADER,
    Frame,
    FrameError,
    FrameTooLargeError,
    read_frame,
)
from ragmesh.indexing.parser.serving import Desk
from ragmesh.indexing.parser.tokens import TokenCounter
from tests.unit.indexing.parser.samples import word_tokenizer

TEXT = Extraction("One here. Two there.", "Title", "text/plain")
PLAN = ChunkPlan(b"", 32)


def chunk_row(**changed: Any) -> list[Any]:
    row = {"start": 0, "end": 9, "headings": [], "page": None, "tokens": 3, "positions": [0, 9]}
    return [*(row | changed).values()]


def chunks_frame(*rows: list[Any]) -> Frame:
    return Frame({"extraction": 0}, json.dumps(rows).encode())


def test_a_frame_arrives_as_it_was_sent() -> None:
    frame = Frame({"operation": "read"}, b"\x00bytes")
    assert read_frame(io.BytesIO(frame.encoded()).read, limit=100) == frame


@pytest.mark.parametrize("lengths", [(MAX_HEADER + 1, 0), (2, 101)])
def test_a_frame_that_announces_too_much_is_refused_before_it_is_read(
    lengths: tuple[int, int],
) -> None:
    with pytest.raises(FrameTooLargeError):
        read_frame(io.BytesIO(LENGTHS.pack(*lengths)).read, limit=100)


@pytest.mark.parametrize("header", [b"[]", b"{", b"[" * 60_000])
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(LENGTHS.pack(len(header), 0) + header).read, limit=100)


def test_an_answer_carries_the_extraction_and_its_chunks() -> None:
    chunks = tuple(split(TEXT, PLAN, TokenCounter(word_tokenizer())))
    assert messages.read_answer(messages.answer(TEXT, chunks)) == (TEXT, chunks)


@pytest.mark.parametrize(
    "changed",
    [
        {"end": 21},
        {"start": 9, "end": 10},
        {"start": -1},
        {"headings": [1]},
        {"page": "1"},
        {"tokens": None},
        {"positions": [0]},
        {"positions": [0, 10]},
        {"positions": [3, 9, 0, 3]},
    ],
)
def test_a_chunk_that_does_not_fit_its_text_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        messages.read_chunks(chunks_frame(chunk_row(**changed)), TEXT)


def test_a_chunk_that_fits_its_text_is_taken() -> None:
    (chunk,) = messages.read_chunks(chunks_frame(chunk_row()), TEXT)
    assert chunk.text == "One here."


def test_an_answer_larger_than_a_parser_may_send_is_a_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "MAX_ANSWER", 10)
    with pytest.raises(OutputTooLargeError):
        messages.answer(TEXT, ())


def test_a_process_gives_only_verdicts_on_files() -> None:
    with pytest.raises(HostileFileError, match="bad"):
        messages.raise_verdict(messages.verdict(HostileFileError("bad")))
    with pytest.raises(FrameError):
        messages.raise_verdict(
            Frame({"reason": "DATA_DIRECTORY_IN_USE", "message": "x", "metadata": {}})
        )


def test_a_defect_names_its_place_and_nothing_of_the_file() -> None:
    desk = Desk(Limits(cpu_seconds=3_600))
    header = {
        "operation": "read",
        "filename": "a.txt",
        "content_type": "",
        "max_tokens": 32,
        "overlap_tokens": 0,
        "language": "",
        "tokenizer": "never put",
    }
    answer = desk.answer(Frame(header, b"secret words"))
    assert "KeyError in get" in answer.header["defect"]
    assert "secret" not in str(answer)
    with pytest.raises(FrameError):
        messages.raise_verdict(answer)


def test_a_desk_reads_and_splits_alike() -> None:
    desk = Desk(Limits(cpu_seconds=3_600))
    digest = desk.answer(Frame({"operation": "tokenizer"}, word_tokenizer())).header["digest"]
    header = {
        "filename": "a.txt",
        "content_type": "",
        "max_tokens": 32,
        "overlap_tokens": 0,
        "language": "",
        "tokenizer": digest,
    }
    answer = desk.answer(Frame(header | {"operation": "read"}, b"One here. Two there."))
    extraction, chunks = messages.read_answer(answer)
    again = desk.answer(Frame(header | {"operation": "split"}, extraction.to_json()))
    assert messages.read_chunks(again, extraction) == chunks != ()


def test_walls_that_stand_and_walls_that_do_not_are_both_named() -> None:
    confinement = Confinement(
        ("resource-limits",), (MissingWall("seccomp", "no such kernel"),), "nobody"
    )
    sent = messages.ready(confinement).encoded()
    received = messages.confinement_of(read_frame(io.BytesIO(sent).read, limit=0))
    assert received == confinement
    assert received.mode == "best-effort"
    assert Confinement(("seccomp",), ()).mode == "sealed"


def test_a_process_that_is_not_ready_has_no_walls() -> None:
    with pytest.raises(FrameError):
        messages.confinement_of(Frame({"active": [], "missing": [], "user": "", "cost": {}}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"missing": "seccomp"},
        {"missing": ["seccomp"]},
        {"missing": [["a", "b", "c"]]},
        {"user": 1},
        {"cost": 1},
    ],
)
def test_a_process_that_does_not_say_how_it_is_confined_is_not_ready(wrong: dict[str, Any]) -> None:
    header = {"ready": True, "active": [], "missing": [], "user": "", "cost": {}}
    assert messages.confinement_of(Frame(header)).mode == "sealed"
    with pytest.raises(FrameError):
        messages.confinement_of(Frame(header | wrong))


def test_what_a_parser_reached_for_is_told_by_names_only() -> None:
    answer = messages.with_late_loads(Frame({"extraction": 1}, b"x"), ["lxml.sax"])
    assert messages.late_loads(answer) == ("lxml.sax",)
    assert answer.body == b"x"
    assert messages.late_loads(Frame({})) == ()
    assert messages.late_loads(Frame({"late": ["line\nbreak", 7, "n" * 201]})) == ()
    with pytest.raises(FrameError):
        messages.late_loads(Frame({"late": 1}))
