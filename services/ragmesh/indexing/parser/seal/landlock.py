"""Landlock: no file, no TCP port, no abstract socket, no signal to anybody else."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from ragmesh.indexing.parser.seal import kernel
from ragmesh.indexing.parser.seal.kernel import WallError

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every architecture
_ASK_VERSION = 1
_FILE_RIGHTS = 13
_FILE_RIGHTS_SINCE = (2, 3, 5)  # moving between folders, truncating, ioctl on devices
_NETWORK_SINCE, _NETWORK = 4, 0b11  # bind, connect
_SCOPES_SINCE, _SCOPES = 6, 0b11  # abstract sockets, signals

_REFUSALS = {
    errno.ENOSYS: "this kernel has no Landlock: Linux has it from 5.13 on",
    errno.EOPNOTSUPP: "Landlock is not enabled in this kernel: see its lsm= parameter",
    errno.EPERM: "the container's seccomp profile forbids Landlock",
}


def forbid_files() -> None:
    """Deny everything that this kernel's Landlock can deny."""
    if not sys.platform.startswith("linux"):
        raise WallError("only Linux has Landlock")
    try:
        handled = rights(_version())
        ruleset = kernel.syscall(
            _CREATE_RULESET, ctypes.c_char_p(handled), ctypes.c_size_t(len(handled)), _no_flags()
        )
        try:  # a right that is handled and granted by no rule is denied; there is no rule
            kernel.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), _no_flags())
        finally:
            os.close(ruleset)
    except OSError as error:
        code = error.errno or 0
        raise WallError(_REFUSALS.get(code, os.strerror(code))) from error


def rights(version: int) -> bytes:
    """Everything that a version can deny, as the kernel's `landlock_ruleset_attr`."""
    files = _FILE_RIGHTS + sum(version >= since for since in _FILE_RIGHTS_SINCE)
    words = [(1 << files) - 1]
    if version >= _NETWORK_SINCE:
        words.append(_NETWORK)
    if version >= _SCOPES_SINCE:
        words.append(_SCOPES)
    return struct.pack(f"={len(words)}Q", *words)


def _version() -> int:
    asked = ctypes.c_uint32(_ASK_VERSION)
    return kernel.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), asked)


def _no_flags() -> ctypes.c_uint32:
    return ctypes.c_uint32(0)
