"""One parser process as its parent sees it: bytes in, bytes out, a deadline on everything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from hashlib import sha256

from ragmesh.core.errors import (
    ParserCrashError,
    ParserMemoryError,
    ParserTimeoutError,
    ParserUnavailableError,
    RagmeshError,
)
from ragmesh.core.reading import Confinement
from ragmesh.indexing.parser.confinement import Limits
from ragmesh.indexing.parser.frames import EXIT_MEMORY, MAX_ANSWER, Frame, FrameError, read_frame
from ragmesh.indexing.parser.kinds import Family
from ragmesh.indexing.parser.messages import confinement_of

_BLOCK = 1 << 20
_READY_BYTES = 64 << 10
_ENDING_SECONDS = 5.0
_PROGRAM = ("-m", "ragmesh.indexing.parser")
_ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "MALLOC_ARENA_MAX": "1"}
"""Nothing of the parent's: what is here keeps the process at one thread."""


_OUT_OF_MEMORY = (b"memory allocation of", b"bad_alloc")
"""What Rust and C++ code says before it aborts for want of memory."""


class _OutOfTimeError(Exception):
    """The deadline of an exchange passed."""


class KilledFromOutsideError(Exception):
    """Somebody else killed the process, so that its death says nothing about the file."""


class ParserProcess:
    """A parser process; used by one thread at a time, but `kill` may come from any.

    It must be spawned on a thread that outlives it: the kernel ends it with that thread.
    """

    def __init__(self, family: Family, limits: Limits) -> None:
        self.family = family
        """Of the files that it can read."""
        self._complaints, complaints = os.pipe()
        try:
            os.set_blocking(self._complaints, False)
            os.set_blocking(complaints, False)  # a chatty library loses words, it does not hang
            self._process = _start(family, limits, complaints)
        except BaseException:
            os.close(self._complaints)
            raise
        finally:
            os.close(complaints)
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a parser process has two pipes")
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._known: set[str] = set()
        self._ended = False
        self._confinement: Confinement | None = None
        self.documents = 0
        """How many documents it was given."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_ready(self, seconds: float) -> Confinement:
        """Return once it is warm and confined; ParserUnavailableError if it never is."""
        if self._confinement is None:
            deadline = time.monotonic() + seconds
            try:
                self._confinement = confinement_of(self._receive(deadline, _READY_BYTES))
            except (_OutOfTimeError, EOFError, FrameError) as error:
                self.end()
                raise ParserUnavailableError(
                    "a parser process did not start", metadata={"status": self._status()}
                ) from error
        return self._confinement

    def learn(self, tokenizer: bytes, seconds: float) -> str:
        """Have it keep a tokenizer; the name by which requests mean it."""
        digest = sha256(tokenizer).hexdigest()
        if digest not in self._known:
            self._known.clear()  # it keeps a few; one is known to be kept
            self.exchange(Frame({"operation": "tokenizer"}, tokenizer), seconds)
            self._known.add(digest)
        return digest

    def exchange(self, request: Frame, seconds: float) -> Frame:
        """Its answer to a request, or why there is none."""
        deadline = time.monotonic() + seconds
        self._read_complaints()  # of files before this one
        try:
            self._send(request.encoded(), deadline)
            return self._receive(deadline, MAX_ANSWER)
        except _OutOfTimeError as error:
            self.end()
            raise ParserTimeoutError(
                f"reading the file takes longer than {seconds:g} seconds",
                metadata={"limit_seconds": f"{seconds:g}"},
            ) from error
        except (EOFError, BrokenPipeError) as error:
            raise self._cause_of_death() from error

    def kill(self) -> None:
        """End it now, whatever it is doing."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, wait until it is gone and close its pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if not self._ended:
            self._ended = True
            os.close(self._complaints)

    def _cause_of_death(self) -> RagmeshError | KilledFromOutsideError:
        try:
            status = self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipes and lives on
            self.kill()
            return ParserCrashError("the parser stopped answering on this file")
        if status == -signal.SIGXCPU:
            return ParserTimeoutError("reading the file takes more time than a parser is given")
        if status == -signal.SIGKILL:
            return KilledFromOutsideError("SIGKILL")
        complaints = self._read_complaints()
        if status == EXIT_MEMORY or any(sign in complaints for sign in _OUT_OF_MEMORY):
            return ParserMemoryError("reading the file takes more memory than a parser is given")
        return ParserCrashError(
            "the parser process died on this file", metadata={"status": self._status()}
        )

    def _read_complaints(self) -> bytes:
        """What it wrote on stderr; never logged, it may hold words of the file."""
        try:
            return os.read(self._complaints, _BLOCK)
        except BlockingIOError:
            return b""

    def _status(self) -> str:
        status = self._process.returncode
        if status is not None and status < 0:
            return signal.Signals(-status).name
        return f"exit status {status}"

    def _send(self, content: bytes, deadline: float) -> None:
        left = memoryview(content)
        while left:
            self._wait_for(self._input, select.POLLOUT, deadline)
            left = left[os.write(self._input, left[:_BLOCK]) :]

    def _receive(self, deadline: float, limit: int) -> Frame:
        def read_exactly(size: int) -> bytes:
            blocks: list[bytes] = []
            while size:
                self._wait_for(self._output, select.POLLIN, deadline)
                block = os.read(self._output, min(size, _BLOCK))
                if not block:
                    raise EOFError
                blocks.append(block)
                size -= len(block)
            return b"".join(blocks)

        return read_frame(read_exactly, limit=limit)

    def _wait_for(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise _OutOfTimeError


def _start(family: Family, limits: Limits, complaints: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [
            *(sys.executable, "-I", "-X", "utf8", *_PROGRAM),
            *(family.value, str(os.getpid())),
            *(str(limits.cpu_seconds), str(limits.address_space_bytes)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,  # Ctrl-C is the parent's; it ends its children itself
    )
