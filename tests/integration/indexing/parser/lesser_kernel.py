"""Runs a command on a kernel with less: `python lesser_kernel.py WALL -- COMMAND…`.

Stands in for an old kernel, or for a container whose profile forbids what a seal needs.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

from ragmesh.indexing.parser.seal import kernel, seccomp
from ragmesh.indexing.parser.seal.seccomp import JUMP_EQUAL, LOAD, REFUSE, RETURN

_NUMBER, _FIRST_ARGUMENT = 0, 16
_LANDLOCK_CREATE_RULESET = 444
_PRCTL = {"x86_64": 157, "aarch64": 167}
_CAPSET = {"x86_64": 126, "aarch64": 91}


def main() -> None:
    """Refuse the calls from now on, to every child as well, and become the command."""
    refuse(sys.argv[1])
    command = sys.argv[sys.argv.index("--") + 1 :]
    os.execv(command[0], command)


def refuse(wall: str) -> None:
    """Answer EPERM to the call that raises a wall, and let everything else pass."""
    rules = {
        "landlock": [(LOAD, _NUMBER), (JUMP_EQUAL, _LANDLOCK_CREATE_RULESET, 0, 1)],
        "unprivileged": [(LOAD, _NUMBER), (JUMP_EQUAL, _CAPSET[platform.machine()], 0, 1)],
        "seccomp": [
            *[(LOAD, _NUMBER), (JUMP_EQUAL, _PRCTL[platform.machine()], 0, 3)],
            *[(LOAD, _FIRST_ARGUMENT), (JUMP_EQUAL, kernel.PR_SET_SECCOMP, 0, 1)],
        ],
    }
    steps = b"".join(
        struct.pack("=HBBI", operation, *(jumps or (0, 0)), value)
        for operation, value, *jumps in [*rules[wall], (RETURN, REFUSE), (RETURN, seccomp.ALLOW)]
    )
    program = seccomp._Program(len(steps) // 8, steps)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.byref(program))


if __name__ == "__main__":
    main()
