"""The walls around the process that reads foreign files, in the order they are raised.

`confine` is the one place for them. What is missing is said, not hidden: the answer names the
walls that stand and those that do not, and why.
"""

from __future__ import annotations

import math
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ragmesh.core.reading import Confinement, MissingWall
from ragmesh.indexing.parser.seal.kernel import WallError
from ragmesh.indexing.parser.seal.landlock import forbid_files
from ragmesh.indexing.parser.seal.privileges import (
    NOBODY,
    die_with,
    forbid_new_privileges,
    give_up_privileges,
)
from ragmesh.indexing.parser.seal.seccomp import forbid_calls

_MOST_DESCRIPTORS = 4_096
"""No process that has only imported has more; the lowest free number is always taken next."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may use, and what a process may that reads many."""

    cpu_seconds: int = 15
    address_space_bytes: int = 2 << 30
    open_files: int = 16
    lifetime_cpu_seconds: int = 3_600
    """No document may raise its share beyond this, whatever it makes of its process."""


def confine(limits: Limits, *, parent_pid: int, answers: int) -> Confinement:
    """Raise every wall there is, before the first foreign byte; `answers` is the pipe to keep."""
    walls = _Walls()
    _close_all_but(answers)
    _offer_to_the_memory_killer()
    walls.raise_wall("unprivileged", give_up_privileges)
    user = "nobody" if os.getuid() == NOBODY else "the user of the mesh"
    walls.raise_wall("dies-with-parent", partial(die_with, parent_pid))
    walls.raise_wall("resource-limits", partial(_limit_resources, limits))
    walls.raise_wall("no-new-privileges", forbid_new_privileges)
    threads = _threads()
    walls.raise_wall("landlock", partial(_of_one_thread, threads, forbid_files))
    walls.raise_wall("seccomp", partial(_of_one_thread, threads, forbid_calls))
    if walls.stands("seccomp"):
        _prove()
    return Confinement(tuple(walls.active), tuple(walls.missing), user)


class _Walls:
    def __init__(self) -> None:
        self.active = ["own-process", "empty-environment"]
        self.missing: list[MissingWall] = []

    def raise_wall(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (WallError, OSError, ValueError) as error:  # or in the kernel's own words
            self.missing.append(MissingWall(name, str(error)))
        else:
            self.active.append(name)

    def stands(self, name: str) -> bool:
        return name in self.active


def allow_cpu(seconds: int) -> None:
    """Let the process use that much more CPU from now on; imports and neighbours do not count."""
    soft = math.ceil(time.process_time()) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _limit_resources(limits: Limits) -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, math.ceil(time.process_time()) + limits.lifetime_cpu_seconds),
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),  # does not bind root; seccomp does
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _lower(limit, value)
    allow_cpu(limits.cpu_seconds)


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bounded, bounded))


def _close_all_but(answers: int) -> None:
    """Leave stdin, stdout, stderr and the pipe of answers: a library may have kept more."""
    os.closerange(3, answers)
    os.closerange(answers + 1, _MOST_DESCRIPTORS)


def _offer_to_the_memory_killer() -> None:
    """Be the first to go when memory is short: before the mesh, and before what runs beside it."""
    if sys.platform.startswith("linux"):
        with suppress(OSError):  # a courtesy, not a wall: /proc may be read-only
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _threads() -> int:
    if not sys.platform.startswith("linux"):
        return 1
    return len(list(Path("/proc/self/task").iterdir()))


def _of_one_thread(threads: int, work: Callable[[], None]) -> None:
    """Landlock and seccomp bind the thread that calls; another would stay outside."""
    if threads != 1:
        raise WallError(f"an import has started threads: there are {threads}")
    work()


def _prove() -> None:
    """Try what must not work; a wall that does not hold ends the process here."""
    attempts: tuple[Callable[[], object], ...] = (
        partial(os.open, os.devnull, os.O_RDONLY),
        socket.socket,
        _fork,
    )
    for attempt in attempts:
        try:
            attempt()
        except PermissionError:
            continue
        raise RuntimeError("a wall stands and does not hold")


def _fork() -> None:
    if os.fork() == 0:
        os._exit(1)
