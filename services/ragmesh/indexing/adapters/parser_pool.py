"""A bounded number of parser processes at work, and one of each family kept warm once it is needed.

PDF, DOCX and HTML run through complex parsers: each such file gets a process of its own, which
ends with it, while the next of its family warms up. Plain texts share processes that are replaced
after many documents. What a file does to its process never reaches another file: when a process
that has read others dies, the file is read again in a fresh one before it is blamed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import TracebackType
from typing import Generic, Self, TypeVar

from ragmesh.chassis.executors import usable_cores
from ragmesh.core.errors import (
    OutputTooLargeError,
    ParserCrashError,
    ParserMemoryError,
    ParsersBusyError,
    ParsersNotSealedError,
    ParserUnavailableError,
    RagmeshError,
)
from ragmesh.core.index import ChunkDraft
from ragmesh.core.reading import (
    ChunkPlan,
    Confinement,
    Extraction,
    ReadDocument,
    Sandbox,
    SourceFile,
)
from ragmesh.indexing.adapters.parser_process import KilledFromOutsideError, ParserProcess
from ragmesh.indexing.parser import messages
from ragmesh.indexing.parser.confinement import Limits
from ragmesh.indexing.parser.frames import Frame, FrameError, FrameTooLargeError
from ragmesh.indexing.parser.kinds import Family, kind_of

_MEGABYTE = 1_000_000

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many parsers run, and how long anything may take."""

    size: int = field(default_factory=usable_cores)
    """Files read at the same time."""
    wall_seconds: float = 20.0
    """Longest time from the first byte of a file to the last of its text and chunks."""
    share_per_megabyte: float = 0.25
    """What each megabyte of plain text, whose cost is known to grow with it, adds to that time
    and to the processor time, as a share of them."""
    start_seconds: float = 30.0
    queue_seconds: float = 60.0
    """Longest time a file waits for a parser."""
    queue_files: int = 1_000
    """Most files that wait."""
    documents_per_process: int = 100
    """Plain texts that a process reads before it is replaced."""
    document: Limits = field(default_factory=Limits)

    def share(self, plain_bytes: int) -> float:
        """How many times its usual time a plain text of that size may take."""
        return 1 + plain_bytes / _MEGABYTE * self.share_per_megabyte


@dataclass(frozen=True, slots=True)
class _Task(Generic[Answer]):
    """A request that is encoded, and an answer that is checked, off the event loop."""

    operation: str
    family: Family
    plan: ChunkPlan
    names: dict[str, str]
    body: Callable[[], bytes]
    understand: Callable[[Frame], Answer]
    plain_bytes: int = 0
    """Size of the plain text to read; 0 for files of other formats."""

    def request(self, tokenizer: str, cpu_seconds: int) -> Frame:
        header = {
            "operation": self.operation,
            "cpu_seconds": cpu_seconds,
            "tokenizer": tokenizer,
            "max_tokens": self.plan.max_tokens,
            "overlap_tokens": self.plan.overlap_tokens,
            "language": self.plan.language,
            **self.names,
        }
        return Frame(header, self.body())


class ParserPool:
    """Reads files into text and chunks, in processes that a hostile file cannot leave."""

    def __init__(self, limits: PoolLimits | None = None, *, sandbox: Sandbox | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._sandbox = sandbox or Sandbox.default()
        self._late_loads: set[str] = set()
        # One long-lived thread spawns: the kernel ends a process with the thread it came from.
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="parser-spawner")
        self._threads = ThreadPoolExecutor(
            self._limits.size + 1, thread_name_prefix="parser-exchange"
        )
        self._slots = asyncio.Semaphore(self._limits.size)
        self._waiting = 0
        self._warm: dict[Family, deque[asyncio.Future[ParserProcess]]]
        self._warm = {family: deque() for family in Family}
        self._shared: list[ParserProcess] = []
        self._alive: set[ParserProcess] = set()
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            await self.prove()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        """End every process, also those at work, and the threads that held them."""
        self._closing.set()
        started = await asyncio.gather(*chain(*self._warm.values()), return_exceptions=True)
        self._warm.clear()
        self._shared.clear()
        self._alive.update(process for process in started if isinstance(process, ParserProcess))
        for process in self._alive:
            process.kill()  # ends the exchanges that are under way
        for _ in range(self._limits.size):
            await self._slots.acquire()  # the files under way and those that wait have given up
        for process in [*self._alive]:
            await self._end(process)
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._spawner.shutdown)

    def prepare(self) -> None:
        """Have the first process warm up while the caller does something else."""
        self._start(Family.TEXTS)

    async def prove(self) -> None:
        """Return once a process reads behind walls, and say which; raises as `confinement`."""
        _tell(await self.confinement())

    async def confinement(self) -> Confinement:
        """Which walls stand around the parsers.

        ParsersNotSealedError when one is missing that is required; ParserUnavailableError when
        none starts.
        """
        process = await self._fresh(Family.TEXTS)
        try:
            confinement = await self._in_thread(process, lambda: self._wait_ready(process))
        except BaseException:
            await self._end(process)
            raise
        self._shared.append(process)
        return confinement

    async def read(self, source: SourceFile, plan: ChunkPlan) -> ReadDocument:
        """The text of a file and its chunks, or one of the reading errors."""

        def understand(frame: Frame) -> ReadDocument:
            return ReadDocument(*messages.read_answer(frame))

        names = {"filename": source.filename, "content_type": source.content_type}
        kind = kind_of(source)
        size = len(source.content) if kind.plain else 0
        task = _Task("read", kind.family, plan, names, lambda: source.content, understand, size)
        return await self._run(task)

    async def split(self, extraction: Extraction, plan: ChunkPlan) -> tuple[ChunkDraft, ...]:
        """The chunks of a text that was read before."""

        def understand(frame: Frame) -> tuple[ChunkDraft, ...]:
            return messages.read_chunks(frame, extraction)

        size = len(extraction.text)
        task = _Task("split", Family.TEXTS, plan, {}, extraction.to_json, understand, size)
        return await self._run(task)

    async def _run(self, task: _Task[Answer]) -> Answer:
        async with self._slot():
            if task.family is Family.TEXTS and self._shared:
                process = self._shared.pop()
            else:
                process = await self._fresh(task.family)
            had_others = process.documents > 0
            try:
                return await self._once(process, task)
            except KilledFromOutsideError:
                _log.warning("a parser process was killed; its file is read again")
            except (ParserCrashError, ParserMemoryError):
                if not had_others:
                    raise
                _log.warning("a shared parser process died; its file is read again")
            try:
                return await self._once(await self._fresh(task.family), task)
            except KilledFromOutsideError as error:
                # Killed twice on one file: the kernel's memory limit is the one who does that.
                raise ParserMemoryError(
                    "the parser was killed on this file, most likely for its memory"
                ) from error

    async def _once(self, process: ParserProcess, task: _Task[Answer]) -> Answer:
        """The answer of one process, which is shared again or ended afterwards."""
        healthy = False
        try:
            frame_of = self._exchange
            answer = await self._in_thread(process, lambda: frame_of(process, task))
            healthy = True
        except RagmeshError as error:
            healthy = error.reason in messages.VERDICTS and not isinstance(
                error, OutputTooLargeError
            )
            raise
        finally:
            spent = process.documents >= self._limits.documents_per_process
            shared = task.family is Family.TEXTS and not spent
            if healthy and shared and not self._closing.is_set():
                self._shared.append(process)
            else:
                await self._end(process)
        return answer

    def _exchange(self, process: ParserProcess, task: _Task[Answer]) -> Answer:
        """Ask and understand; runs on a thread of the pool."""
        self._wait_ready(process)
        try:
            tokenizer = process.learn(task.plan.tokenizer, self._limits.start_seconds)
            process.documents += 1
            share = self._limits.share(task.plain_bytes)
            request = task.request(tokenizer, math.ceil(self._limits.document.cpu_seconds * share))
            frame = process.exchange(request, self._limits.wall_seconds * share)
            self._warn_of_late_loads(frame)
            messages.raise_verdict(frame)
            return task.understand(frame)
        except FrameTooLargeError as error:
            raise OutputTooLargeError("the text is larger than a parser may return") from error
        except FrameError as error:
            _log.warning("a parser process answered wrongly", extra={"defect": str(error)})
            raise ParserCrashError("the parser failed on this file") from error

    def _wait_ready(self, process: ParserProcess) -> Confinement:
        """Return once it is sealed as required; before that it is sent nothing."""
        confinement = process.wait_ready(self._limits.start_seconds)
        if confinement.missing and self._sandbox is Sandbox.REQUIRED:
            missing = ", ".join(map(str, confinement.missing))
            raise ParsersNotSealedError(
                f"foreign files cannot be read in a sealed process here, without {missing}: run on"
                " a Linux that has it, or set indexing.sandbox to best-effort to do without",
                metadata={"missing": ",".join(wall.name for wall in confinement.missing)},
            )
        return confinement

    def _warn_of_late_loads(self, frame: Frame) -> None:
        """Say once what a parser should have loaded before the walls stood."""
        for name in set(messages.late_loads(frame)) - self._late_loads:
            self._late_loads.add(name)
            _log.warning("a parser was not warmed up and may read less", extra={"needs": name})

    async def _in_thread(self, process: ParserProcess, work: Callable[[], Answer]) -> Answer:
        """Run blocking work with a process; a cancelled caller ends both."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            process.kill()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # the death that was just asked for
            raise

    async def _fresh(self, family: Family) -> ParserProcess:
        """A process that has read nothing yet; what is used once has its successor warm up."""
        if self._closing.is_set():
            raise ParserUnavailableError("the parsers are shutting down")
        self._start(family)
        starting = self._warm[family].popleft()
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._warm[family].appendleft(starting)
            raise
        except OSError as error:
            raise ParserUnavailableError("a parser process could not be started") from error
        self._alive.add(process)
        if self._closing.is_set():  # while it started; `_close` has not seen it
            await self._end(process)
            raise ParserUnavailableError("the parsers are shutting down")
        if family is not Family.TEXTS:
            self._start(family)
        return process

    def _start(self, family: Family) -> None:
        """Have one process of the family ready or on its way."""
        if not self._warm[family] and not self._closing.is_set():
            work = partial(ParserProcess, family, self._limits.document)
            loop = asyncio.get_running_loop()
            self._warm[family].append(loop.run_in_executor(self._spawner, work))

    async def _end(self, process: ParserProcess) -> None:
        process.kill()
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, process.end))
        self._alive.discard(process)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Room for one file, after a bounded wait."""
        if self._waiting >= self._limits.queue_files:
            raise ParsersBusyError("too many files wait for a parser", retry_after_seconds=5.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise ParsersBusyError("no parser became free", retry_after_seconds=5.0) from error
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


def _tell(confinement: Confinement) -> None:
    """Say once which walls stand; that one is missing is worth a warning."""
    names = {
        "mode": confinement.mode,
        "user": confinement.user,
        "active": ", ".join(confinement.active),
        "missing": ", ".join(map(str, confinement.missing)),
    }
    level = logging.WARNING if confinement.missing else logging.INFO
    _log.log(level, "parsers are confined", extra=names)
