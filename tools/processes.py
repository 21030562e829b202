"""Processes that never outlive us, and signals to all that a process has started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TypeAlias

Output: TypeAlias = IO[str] | int
"""Where something said goes, as `subprocess` takes it."""
PATIENCE_SECONDS = 30.0
"""How long one may take to do as it is told."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is started, and how."""

    words: Sequence[str]
    environ: Mapping[str, str]
    stdout: Output
    stderr: Output
    within: Sequence[str] = ()
    """Words before, that make its surroundings."""
    folder: Path | None = None
    """Where it starts, if not where we are."""


@dataclass(frozen=True, slots=True)
class Process:
    """A child that the kernel kills when we die, by whatever cause."""

    popen: subprocess.Popen[str]

    @classmethod
    def start(cls, command: Command) -> Process:
        """Start it."""
        born: SimpleQueue[subprocess.Popen[str] | OSError] = SimpleQueue()

        def live() -> None:
            # The kernel watches the thread that forked, not its process: this one stays as
            # long as the child does, whoever asked for it.
            try:
                popen = _fork(command)
            except OSError as error:
                born.put(error)
                return
            born.put(popen)
            popen.wait()

        threading.Thread(target=live, daemon=True, name=f"parent of {command.words[0]}").start()
        result = born.get()
        if isinstance(result, OSError):
            raise result
        return cls(result)

    @property
    def pid(self) -> int:
        """Its number."""
        return self.popen.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        self.popen.send_signal(number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return when it has ended; its exit code."""
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL it and all it has started; return when they are gone."""
        family = self.freeze()  # so that nobody is born meanwhile
        _send(signal.SIGKILL, family)
        self.wait()
        if not await_condition(lambda: all(map(_is_gone, family))):
            raise TimeoutError(f"processes that cannot be killed: {sorted(family)}")

    def freeze(self) -> set[int]:
        """SIGSTOP it and all it has started, who are returned: PostgreSQL answers from children."""
        frozen: set[int] = set()
        while fresh := self._family() - frozen:
            _send(signal.SIGSTOP, fresh)
            frozen |= fresh
        # The signal is sent before it is felt: until then somebody may still be answered.
        await_condition(lambda: all(_state(pid) in {"T", "Z", ""} for pid in frozen))
        return frozen

    def thaw(self) -> None:
        """SIGCONT to all of them."""
        _send(signal.SIGCONT, self._family())

    def _family(self) -> set[int]:
        return {self.pid, *_descendants(self.pid)} if self.runs else set()


def kill_families(pids: Iterable[int]) -> None:
    """SIGKILL processes that need not be ours, and all they have started; return when all are gone.

    What one leaves to a new parent is not found any more: they go from the leaves to the roots.
    """
    families = {pid: [pid, *_descendants(pid)] for pid in pids}
    members = {one for family in families.values() for one in family}
    _send(signal.SIGSTOP, set(families))
    _send(signal.SIGKILL, members - set(families))
    _send(signal.SIGKILL, set(families))
    if not await_condition(lambda: all(map(_is_gone, members))):
        raise TimeoutError(f"processes that cannot be killed: {sorted(members)}")


def await_condition(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it holds before the time is over."""
    late = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > late:
            return False
        time.sleep(0.02)
    return True


def _fork(command: Command) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # setpriv comes last: a change of user in between would clear what it sets.
        [*command.within, "setpriv", "--pdeathsig", "KILL", "--", *command.words],
        cwd=command.folder,
        env=command.environ,
        stdin=subprocess.DEVNULL,
        stdout=command.stdout,
        stderr=command.stderr,
        text=True,
        process_group=0,  # Ctrl-C at a terminal is for us, who end them in order
    )


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended meanwhile
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _descendants(child)


def _send(number: signal.Signals, pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, number)


def _is_gone(pid: int) -> bool:
    """Whether it runs no more, be it that its new parent has not noticed."""
    return _state(pid) in {"Z", ""}


def _state(pid: int) -> str:
    """The kernel's letter for what it does; empty when it is gone."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return status.rpartition(")")[2].split()[0]
