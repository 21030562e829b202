"""What processes that share one catalog tell each other, and which of them looks after it.

A signal only says that looking again is worth it: whoever hears it reads the catalog, and whoever
misses it reads a little later. A process with a catalog of its own has nobody to tell and is always
the one that looks after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Subject(Enum):
    """What a signal is about."""

    HEADS = "heads"
    KEYS = "keys"
    JOBS = "jobs"
    OUTBOX = "outbox"
    ROUTES = "routes"


@dataclass(frozen=True, slots=True)
class Signal:
    """Something changed."""

    subject: Subject
    name: str = ""
    """Of the index version or job; empty = perhaps any of them."""
    number: int = 0
    """Of heads: the newest sequence."""


Listener = Callable[[Signal], None]
Probe = Callable[[], Awaitable[None]]
"""Returns when all is well, else raises a RagmeshError."""


class Signals(Protocol):
    """Between the processes of one catalog."""

    def tell(self, signal: Signal) -> None:
        """Have the others hear of it soon; never waits."""

    def listen(self, subject: Subject, listener: Listener) -> None:
        """Call the listener with what others tell, and with a nameless signal when some of it
        may have been missed."""


class Lease(Protocol):
    """Held by one process of those that share a catalog."""

    async def while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work whenever this process holds the lease, and stop it when it is lost."""


class Alone:
    """Signals and lease of a process that shares its catalog with nobody."""

    def tell(self, signal: Signal) -> None:
        """Nobody hears it."""

    def listen(self, subject: Subject, listener: Listener) -> None:
        """Nobody ever tells anything."""

    async def while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work: nobody else could."""
        await work()
