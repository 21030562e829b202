"""A feed of what changed: followers learn of every change, and every beat that there was none.

Each beat reads the catalog, so that a change that another process made is not later than one.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Generic, Protocol, TypeVar

from ragmesh.indexing.sharing import Signal, Signals, Subject

MOST_CHANGES = 1_000
"""Of one batch."""


class _Batch(Protocol):
    @property
    def caught_up(self) -> bool:
        """Whether nothing more is known to have changed."""


Batch = TypeVar("Batch", bound=_Batch)
BatchRead = TypeVar("BatchRead", covariant=True)


class Changes(Protocol[BatchRead]):
    """What changed after a place in the sequence of changes, and the place it reaches to."""

    @property
    def batch(self) -> BatchRead:
        """What changed."""

    @property
    def sequence(self) -> int:
        """The place."""


class ChangeFeed(ABC, Generic[Batch]):
    """Hands what changed to whoever follows."""

    def __init__(self, subject: Subject, signals: Signals, *, heartbeat_seconds: float) -> None:
        self._subject = subject
        self._signals = signals
        signals.listen(subject, self._hear)
        self._heartbeat_seconds = heartbeat_seconds
        self._followers: set[asyncio.Event] = set()

    @abstractmethod
    async def _read(self, sequence: int) -> Changes[Batch]:
        """What changed after the sequence, in its order."""

    async def watch(self) -> AsyncIterator[Batch]:
        """Everything, then changes, for ever; an empty batch is a heartbeat."""
        woken = asyncio.Event()
        self._followers.add(woken)
        sequence = 0
        try:
            while True:
                woken.clear()
                found = await self._read(sequence)
                sequence = found.sequence
                yield found.batch
                if found.batch.caught_up:
                    await self._until(woken)
        finally:
            self._followers.discard(woken)

    def wake(self) -> None:
        """Have every follower look: something has changed."""
        self._hear(Signal(self._subject))
        self._signals.tell(Signal(self._subject))

    def _hear(self, _signal: Signal) -> None:
        for woken in self._followers:
            woken.set()

    async def _until(self, woken: asyncio.Event) -> None:
        """Return when something changed, or when a heartbeat is due."""
        try:
            async with asyncio.timeout(self._heartbeat_seconds):
                await woken.wait()
        except TimeoutError:
            return
