"""Ports of this machine that nobody uses, or is about to."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
_CANDIDATES = range(20_000, 32_000)
"""Below those that a kernel gives to connections, so that nobody takes one by chance."""


def free_ports() -> Iterator[int]:
    """Some that nobody uses now and nobody else is given while we run, in no order."""
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if _is_free(port) and _claim(port):
            yield port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Whether it is ours until we end: who will listen there starts later, and may be killed and
    started again, while other programs look for ports of their own."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0ragmesh-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # the kernel lets go of the name when our process ends
    return True
