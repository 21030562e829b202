"""A parser process that has fallen: it does what a file of a certain name says.

`python obedient.py FAMILY PARENT_PID CPU_SECONDS ADDRESS_SPACE_BYTES`, in place of the real
program; every other file is read as ever. It tells what came of the attack as the text of the file.
"""

from __future__ import annotations

import ctypes
import errno
import math
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from ragmesh.core.reading import Extraction, SourceFile
from ragmesh.indexing.parser import serving
from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.kinds import Family
from ragmesh.indexing.parser.warmup import warm_up

ATTACK = "attack.txt"
REFUSALS = {errno.EPERM, errno.EACCES}

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """A function of the C library, whose failure is an OSError."""
    function = getattr(_libc, name)
    function.restype = ctypes.c_long if name == "syscall" else ctypes.c_int
    result: int = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


TOOLS = {
    "call": call,
    "ctypes": ctypes,
    "math": math,
    "mmap": mmap,
    "os": os,
    "resource": resource,
    "signal": signal,
    "socket": socket,
    "subprocess": subprocess,
    "sys": sys,
    "threading": threading,
    "time": time,
}


def extract_or_obey(source: SourceFile) -> Extraction:
    """Read a file, or do what it says."""
    if source.filename != ATTACK:
        return extract(source)
    names = dict(TOOLS)
    try:
        exec(source.content, names)
    except OSError as error:
        told = "stopped" if error.errno in REFUSALS else f"failed: {error!r}"
    except RuntimeError as error:  # Python says so of a thread that the kernel refuses
        told = "stopped" if "start new thread" in str(error) else f"failed: {error!r}"
    else:
        told = "done"
    return Extraction(str(names.get("text", told)), "", "text/plain")


def obey(family: Family) -> None:
    """Fall as soon as everything is loaded."""
    warm_up(family)
    serving.extract = extract_or_obey  # type: ignore[attr-defined]


if __name__ == "__main__":
    serving.warm_up = obey  # type: ignore[attr-defined]
    serving.main(sys.argv[1:], began=time.perf_counter())
