"""Equal questions that are under way at one time are answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from ragmesh.core.answers import AnswerEvent, ReadMark


@dataclass(slots=True)
class Reading:
    """How far a question is with reading what it will be answered from."""

    begun: bool = False
    """Whether a change that is made now may be missing from what it reads."""
    mark: ReadMark | None = None
    """What was read; None as long as nothing was."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the mark, or when there will be none."""

    def end(self, mark: ReadMark | None) -> None:
        """Everything is read, or nothing will be."""
        self.mark = mark
        self.ended.set()


class Flight:
    """The answer to one question on its way to everybody who waits for it.

    It runs in a task of its own, so that whoever asked first may leave. Who joins leaves again;
    the last one who leaves before the end stops it.
    """

    def __init__(self, events: AsyncGenerator[AnswerEvent, None], reading: Reading) -> None:
        self.reading = reading
        self._seen: list[AnswerEvent] = []
        self._progress = asyncio.Event()
        self._over = False
        self._error: Exception | None = None
        self._waiting = 0
        # Its owners are those who wait: no group of one of them would outlast that one.
        self.task = asyncio.create_task(self._fly(events))  # noqa: TID251

    def join(self) -> None:
        """Count as one who waits."""
        self._waiting += 1

    async def leave(self) -> None:
        """Wait no longer."""
        self._waiting -= 1
        if not self._waiting and not self.task.done():
            self.task.cancel()
            await asyncio.wait((self.task,))

    async def events(self) -> AsyncGenerator[AnswerEvent, None]:
        """Everything from the first event on, as it comes; what went wrong is raised to each."""
        position = 0
        while True:
            progress = self._progress
            while position < len(self._seen):
                yield self._seen[position]
                position += 1
            if self._over:
                break
            await progress.wait()
        if self._error is not None:
            raise self._error

    async def _fly(self, events: AsyncGenerator[AnswerEvent, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self._seen.append(event)
                    self._tell()
        except Exception as error:  # raised again by everybody who waits
            self._error = error
        finally:
            self._over = True
            self.reading.end(self.reading.mark)
            self._tell()

    def _tell(self) -> None:
        reached, self._progress = self._progress, asyncio.Event()
        reached.set()


class Flights:
    """The flights of a process by the key of their question; as many as there are requests."""

    def __init__(self) -> None:
        self._flying: dict[str, Flight] = {}

    def find(self, key: str) -> Flight | None:
        """The latest flight of that question, if it has not ended."""
        return self._flying.get(key)

    def begin(
        self, key: str, events: AsyncGenerator[AnswerEvent, None], reading: Reading
    ) -> Flight:
        """A new flight, to be found in place of an earlier one; who begins it has joined it."""
        flight = Flight(events, reading)
        flight.join()
        self._flying[key] = flight
        flight.task.add_done_callback(partial(self._ended, key, flight))
        return flight

    def _ended(self, key: str, flight: Flight, _task: asyncio.Task[None]) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]
