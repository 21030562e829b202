"""Calls of the kernel that Python does not wrap; each raises OSError with what the kernel says."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


class WallError(Exception):
    """A wall cannot be raised here; the message says why."""


def prctl(option: int, argument: int = 0, pointer: object = None) -> None:
    """Change how the kernel treats this process."""
    # The call is variadic: whatever is passed must be as wide as a machine word.
    words = (ctypes.c_ulong(argument), pointer or ctypes.c_ulong(0), *[ctypes.c_ulong(0)] * 2)
    if _libc.prctl(ctypes.c_int(option), *words) != 0:
        raise last_error()


def syscall(number: int, *arguments: object) -> int:
    """Make a call by its number."""
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise last_error()
    return result


def capabilities(operation: str) -> tuple[int, ...]:
    """Read (`capget`) or empty (`capset`) effective, permitted and inheritable, low words first."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    content = (ctypes.c_uint32 * 6)()
    if getattr(_libc, operation)(header, content) != 0:
        raise last_error()
    return tuple(content)


_CAPABILITY_VERSION_3 = 0x20080522


def last_error() -> OSError:
    """What the kernel said to the call before."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
