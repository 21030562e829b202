"""Ports of this machine that nobody uses."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
_CANDIDATES = range(20_000, 32_000)
"""Below those that a kernel gives to connections, so that nobody takes one by chance."""


def free_ports() -> Iterator[int]:
    """Some that nobody uses now, in no order, so that two programs seldom meet at one."""
    for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        yield port
