"""The walls around the process that reads foreign files, in the order they are raised.

`confine` is the one place for them. What is missing is said, not hidden: the answer names the
walls that stand and those that do not.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from dataclasses import dataclass

from ragmesh.core.reading import Confinement

_PR_SET_PDEATHSIG = 1
_MISSING = ("no-new-privileges", "landlock", "seccomp")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may use."""

    cpu_seconds: int = 15
    address_space_bytes: int = 2 << 30
    open_files: int = 64


def die_with(parent_pid: int) -> bool:
    """Have the kernel kill this process when the thread that started it ends.

    Returns whether the kernel can; ends at once when the parent is gone already.
    """
    if not sys.platform.startswith("linux"):
        return False  # the end of the pipe must do
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_ulong(signal.SIGKILL), *[ctypes.c_ulong(0)] * 3)
    if libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), *arguments) != 0:
        raise OSError(ctypes.get_errno(), "the parent's death cannot be followed")
    if os.getppid() != parent_pid:
        os._exit(1)
    return True


def confine(limits: Limits, *, parent_pid: int) -> Confinement:
    """Raise every wall there is, before the first foreign byte."""
    active = ["own-process", "empty-environment"]
    missing: list[str] = []
    (active if die_with(parent_pid) else missing).append("dies-with-parent")
    allow_cpu(limits.cpu_seconds)
    for limit, value in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _lower(limit, value)
    active.append("resource-limits")
    return Confinement(tuple(active), (*missing, *_MISSING))


def allow_cpu(seconds: int) -> None:
    """Let the process use that much more CPU from now on; imports and neighbours do not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (bounded, bounded))
