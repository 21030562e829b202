"""Gives up whatever the parent's user may do that a reader of files need not."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from ragmesh.indexing.parser.seal import kernel
from ragmesh.indexing.parser.seal.kernel import WallError

NOBODY = 65_534
"""The kernel's own number for nobody; a container needs no account of that name."""

_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 5, 6, 7


def give_up_privileges() -> None:
    """Become nobody where the parent is root and may do that; hold no capability anywhere."""
    if not sys.platform.startswith("linux"):
        raise WallError("only Linux has capabilities")
    _become_nobody()
    kernel.capabilities("capset")
    if any(kernel.capabilities("capget")):
        raise WallError("the kernel keeps capabilities for this process")


def _become_nobody() -> None:
    """Change the user where that is possible; elsewhere the loss of the capabilities must do.

    Without CAP_KILL a root parent could not end its children once they are somebody else's. A
    user namespace may know no nobody.
    """
    if os.geteuid() != 0 or not _holds(_CAP_KILL, _CAP_SETGID, _CAP_SETUID):
        return
    with suppress(OSError):
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def _holds(*numbers: int) -> bool:
    effective = kernel.capabilities("capget")[0]
    return all(effective >> number & 1 for number in numbers)


def die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    Ends at once when the parent is gone already. A change of user clears this: it comes after.
    """
    if not sys.platform.startswith("linux"):
        raise WallError("only Linux ends a process with its parent; the end of the pipe must do")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def forbid_new_privileges() -> None:
    """No program this process could start gains anything, and no neighbour may look into it."""
    if not sys.platform.startswith("linux"):
        raise WallError("only Linux can forbid new privileges")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
