"""The system calls that a sealed parser may still make; everything else answers EPERM.

A list of what is allowed, because a list of what is denied is never whole. What is left: memory
that cannot be executed, the pipes that are open already, the clock, and its own end.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from dataclasses import dataclass

from ragmesh.indexing.parser.seal import kernel
from ragmesh.indexing.parser.seal.kernel import WallError

_PROT_EXEC = 4
_MODE_FILTER = 2


@dataclass(frozen=True, slots=True)
class Argument:
    """What an argument of a call must be; the kernel reads the low 32 bits of these."""

    position: int
    equals: int | None = None
    without: int = 0
    """Bits that must not be set."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call by its number on each architecture; None where there is none."""

    x86_64: int | None
    aarch64: int | None
    arguments: tuple[Argument, ...] = ()

    def number(self, machine: str) -> int | None:
        """Its number on that machine."""
        return self.x86_64 if machine == "x86_64" else self.aarch64


ALLOWED = {
    # the pipes
    "read": Call(0, 63),
    "write": Call(1, 64),
    "writev": Call(20, 66),
    "close": Call(3, 57),
    "fstat": Call(5, 80),
    "lseek": Call(8, 62),
    # memory
    "munmap": Call(11, 215),
    "brk": Call(12, 214),
    "mremap": Call(25, 216),
    "madvise": Call(28, 233),
    "mmap": Call(9, 222, (Argument(2, without=_PROT_EXEC),)),
    "mprotect": Call(10, 226, (Argument(2, without=_PROT_EXEC),)),
    # one thread and its signals
    "rt_sigaction": Call(13, 134),
    "rt_sigprocmask": Call(14, 135),
    "rt_sigreturn": Call(15, 139),
    "sigaltstack": Call(131, 132),
    "sched_yield": Call(24, 124),
    "sched_getaffinity": Call(204, 123),
    "futex": Call(202, 98),
    "getpid": Call(39, 172),
    "gettid": Call(186, 178),
    # clocks and chance
    "clock_gettime": Call(228, 113),
    "clock_getres": Call(229, 114),
    "clock_nanosleep": Call(230, 115),
    "nanosleep": Call(35, 101),
    "gettimeofday": Call(96, 169),
    "time": Call(201, None),
    "restart_syscall": Call(219, 128),
    "getrandom": Call(318, 278),
    "sysinfo": Call(99, 179),  # the C library's sort asks how much memory there is
    # the end
    "exit": Call(60, 93),
    "exit_group": Call(231, 94),
}


def allowed(pid: int) -> dict[str, Call]:
    """What a process of that number may call."""
    return ALLOWED | {
        # abort() sends itself a signal; nobody else is reached
        "tgkill": Call(234, 131, (Argument(0, equals=pid),)),
        # every document brings its own share of CPU time, below the hard limit
        "prlimit64": Call(
            302, 261, (Argument(0, equals=0), Argument(1, equals=resource.RLIMIT_CPU))
        ),
    }


# --- the filter, in the kernel's small language ---

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where the kernel puts what it asks about
_FOREIGN_NUMBERS = 0x40000000  # x32, a second set of numbers for the same calls


def filter_program(machine: str, calls: dict[str, Call]) -> bytes:
    """The program that answers for every call of that machine."""
    program = [
        _step(LOAD, _ARCHITECTURE),
        _step(JUMP_EQUAL, AUDIT_ARCHITECTURE[machine], 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, _NUMBER),
        _step(JUMP_GREATER_EQUAL, _FOREIGN_NUMBERS, 0, 1),
        _step(RETURN, KILL),
    ]
    for call in calls.values():
        number = call.number(machine)
        if number is not None:
            verdict = [*_checks(call.arguments), _step(RETURN, ALLOW)]
            program += [_step(JUMP_EQUAL, number, 0, len(verdict)), *verdict]
    return b"".join([*program, _step(RETURN, REFUSE)])


def _checks(arguments: tuple[Argument, ...]) -> list[bytes]:
    steps: list[bytes] = []
    for argument in arguments:
        steps.append(_step(LOAD, _ARGUMENTS + 8 * argument.position))
        if argument.equals is None:
            steps.append(_step(JUMP_SET, argument.without, 0, 1))
        else:
            steps.append(_step(JUMP_EQUAL, argument.equals, 1, 0))
        steps.append(_step(RETURN, REFUSE))
    return steps


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def forbid_calls() -> None:
    """Leave this process the allowed calls, for good."""
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in AUDIT_ARCHITECTURE:
        raise WallError(f"there is no table of system calls for {sys.platform} on {machine}")
    steps = filter_program(machine, allowed(os.getpid()))
    program = _Program(len(steps) // 8, steps)
    try:
        kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program))
    except OSError as error:
        raise WallError(f"the kernel takes no seccomp filter ({error.strerror})") from error
