"""The parser process: warm up, raise the walls, say so, then read one file after another."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from ragmesh.core.errors import HostileFileError, RagmeshError
from ragmesh.core.reading import ChunkPlan, Extraction, SourceFile, StartCost
from ragmesh.indexing.parser import messages
from ragmesh.indexing.parser.chunker import split
from ragmesh.indexing.parser.confinement import Limits, allow_cpu, confine
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.frames import EXIT_MEMORY, MAX_REQUEST, Frame, read_frame
from ragmesh.indexing.parser.kinds import Family
from ragmesh.indexing.parser.tokens import CounterShelf
from ragmesh.indexing.parser.warmup import warm_up
from ragmesh.indexing.parser.watching import LateLoads

_PIPE_BLOCK = 1 << 20


def main(arguments: list[str], *, began: float) -> NoReturn:
    """Serve until the pipe ends; `began` is when the process did."""
    family = Family(arguments[0])
    parent_pid, cpu_seconds, address_space_bytes = map(int, arguments[1:])
    limits = Limits(cpu_seconds=cpu_seconds, address_space_bytes=address_space_bytes)
    answers = _take_stdout()
    warm_up(family)
    late = LateLoads()
    resident_bytes = _resident_bytes()
    warm = time.perf_counter()
    confinement = confine(limits, parent_pid=parent_pid, answers=answers)
    late.watch()
    now = time.perf_counter()
    cost = StartCost((now - began) * 1_000, (now - warm) * 1_000, resident_bytes)
    _write(answers, messages.ready(replace(confinement, cost=cost)))
    desk = Desk(limits)
    while True:
        try:
            request = read_frame(_read_exactly, limit=MAX_REQUEST)
            answer = desk.answer(request)
            _write(answers, messages.with_late_loads(answer, late.taken()))
        except EOFError:
            os._exit(0)
        except MemoryError:
            os._exit(EXIT_MEMORY)


class Desk:
    """Answers requests, one at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._counters = CounterShelf()

    def answer(self, request: Frame) -> Frame:
        """The answer to a request; a verdict when the file is at fault."""
        allow_cpu(request.header.get("cpu_seconds", self._limits.cpu_seconds))
        operations: dict[str, Callable[[Frame], Frame]] = {
            "tokenizer": self._tokenizer,
            "read": self._read,
            "split": self._split,
        }
        try:
            return operations[request.header["operation"]](request)
        except RagmeshError as error:
            return messages.verdict(error)
        except MemoryError:
            raise
        except RecursionError:
            return messages.verdict(HostileFileError("the text is nested far too deep"))
        except Exception as error:
            # Mapped, not hidden: the pool names the place in its log and ends this process.
            return messages.defect(error)

    def _tokenizer(self, request: Frame) -> Frame:
        return Frame({"digest": self._counters.put(request.body)})

    def _read(self, request: Frame) -> Frame:
        header = request.header
        source = SourceFile(request.body, header["filename"], header["content_type"])
        extraction = extract(source)
        messages.require_sendable(extraction.text)
        plan, digest = _plan(header)
        return messages.answer(extraction, split(extraction, plan, self._counters.get(digest)))

    def _split(self, request: Frame) -> Frame:
        plan, digest = _plan(request.header)
        extraction = Extraction.from_json(request.body)
        return messages.answer(None, split(extraction, plan, self._counters.get(digest)))


def _plan(header: dict[str, Any]) -> tuple[ChunkPlan, str]:
    plan = ChunkPlan(b"", header["max_tokens"], header["overlap_tokens"], header["language"])
    return plan, header["tokenizer"]


def _take_stdout() -> int:
    """Keep the pipe for answers; whatever a library prints goes nowhere."""
    answers = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return answers


def _resident_bytes() -> int:
    """How much memory the process takes; 0 where only its largest size is known.

    Its largest size would be that of the parent, whose memory it was for a moment.
    """
    if not sys.platform.startswith("linux"):
        return 0
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _read_exactly(size: int) -> bytes:
    blocks: list[bytes] = []
    while size:
        block = os.read(0, min(size, _PIPE_BLOCK))
        if not block:
            raise EOFError
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _write(descriptor: int, frame: Frame) -> None:
    left = memoryview(frame.encoded())
    while left:
        left = left[os.write(descriptor, left) :]
