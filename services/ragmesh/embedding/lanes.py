"""Two lanes of each encoder: people wait in the query lane, and the bulk lane stands back for them.

It does so for the queries of every encoder that needs the same processor: a candidate index is
filled by one encoder while questions go to another.

No lane has a task of its own. Whoever gets the turn encodes for everybody who waits, so nothing
has to be started, stopped or watched.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ragmesh.core.clock import Clock
from ragmesh.core.errors import EmbedderOverloadedError
from ragmesh.core.vectors import Lane
from ragmesh.embedding.batching import LengthSorted
from ragmesh.embedding.limits import EmbeddingLimits
from ragmesh.embedding.ports import EncodedText, Encoder

Encoded = TypeVar("Encoded")

_SHORTEST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 30.0
_FIRST_GUESS_SECONDS = 0.01
_SMOOTHING = 0.2


class _Queue:
    """How much waits in a lane, and how long that will take at the present pace."""

    def __init__(self, lane: Lane, most_texts: int, clock: Clock) -> None:
        self._lane = lane
        self._most_texts = most_texts
        self._clock = clock
        self._seconds_per_text = _FIRST_GUESS_SECONDS
        self.texts = 0

    def enter(self, texts: int) -> None:
        """Count the texts in, or refuse them when there is no room for all of them."""
        if self.texts + texts > self._most_texts:
            seconds = self.texts * self._seconds_per_text
            raise EmbedderOverloadedError(
                f"{self.texts} texts wait in the {self._lane.value} lane already",
                metadata={"lane": self._lane.value, "limit": str(self._most_texts)},
                retry_after_seconds=min(
                    max(seconds, _SHORTEST_RETRY_SECONDS), _LONGEST_RETRY_SECONDS
                ),
            )
        self.texts += texts

    def leave(self, texts: int) -> None:
        """Count the texts out, however their request ended."""
        self.texts -= texts

    async def timed(self, texts: int, work: Awaitable[Encoded]) -> Encoded:
        """The result of the work on so many texts; its time teaches the pace."""
        started = self._clock.monotonic()
        result = await work
        seconds = (self._clock.monotonic() - started) / texts
        self._seconds_per_text += _SMOOTHING * (seconds - self._seconds_per_text)
        return result


@dataclass(slots=True, eq=False)
class _Request:
    texts: tuple[str, ...]
    encoded: tuple[EncodedText, ...] | None = None
    failure: Exception | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it was encoded, failed, or waits again because who encoded it went away."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.encoded is not None or self.failure is not None


class QueryLane:
    """Encodes what waits together in one call, in the order of arrival; as many calls at a time as
    suits the encoder."""

    def __init__(self, encoder: Encoder, limits: EmbeddingLimits, clock: Clock) -> None:
        self._encoder = encoder
        self._limits = limits
        self._clock = clock
        self._queue = _Queue(Lane.QUERY, limits.query_queue_texts, clock)
        self._waiting: deque[_Request] = deque()
        self._turns = asyncio.Semaphore(encoder.query_calls)
        self._last_seen: float | None = None

    async def encode(self, texts: Sequence[str]) -> tuple[EncodedText, ...]:
        """The encoded texts, or EMBEDDER_OVERLOADED at once when too many wait."""
        self._queue.enter(len(texts))
        request = _Request(tuple(texts))
        self._waiting.append(request)
        self._last_seen = self._clock.monotonic()
        try:
            await self._see_through(request)
        finally:
            self._queue.leave(len(texts))
            self._last_seen = self._clock.monotonic()
            if request in self._waiting:
                self._waiting.remove(request)
        if request.failure is not None:
            raise request.failure
        return request.encoded or ()

    async def _see_through(self, request: _Request) -> None:
        """Return when the request has ended; whoever gets a turn encodes for all that wait."""
        while not request.ended:
            async with self._turns:
                if request in self._waiting:
                    await self._encode_waiting()
                    continue
            await request.moved.wait()  # another caller has it in a call
            request.moved.clear()

    @property
    def is_here(self) -> bool:
        """Whether this machine's processor encodes the queries, so that others slow them down."""
        return self._encoder.bulk_batch_tokens is None

    @property
    def calm(self) -> bool:
        """Whether no query came or went a moment ago."""
        if self._last_seen is None:
            return True
        return self._clock.monotonic() - self._last_seen >= self._limits.calm_seconds

    async def let_pass(self) -> None:
        """Return once every query that waits now is done; later ones are not waited for."""
        async with self._turns:
            return

    async def _encode_waiting(self) -> None:
        batch = self._take()
        texts = [text for request in batch for text in request.texts]
        try:
            encoded = await self._queue.timed(
                len(texts), self._encoder.encode_texts(texts, Lane.QUERY)
            )
        except asyncio.CancelledError:
            # Only this caller went away: the others go first in the next turn.
            self._waiting.extendleft(reversed(batch))
            _move(batch)
            raise
        except Exception as error:
            for request in batch:
                request.failure = error
            _move(batch)
            raise
        start = 0
        for request in batch:
            end = start + len(request.texts)
            request.encoded = tuple(encoded[start:end])
            start = end
        _move(batch)

    def _take(self) -> list[_Request]:
        batch = [self._waiting.popleft()]
        room = self._limits.query_batch_texts - len(batch[0].texts)
        while self._waiting and len(self._waiting[0].texts) <= room:
            batch.append(self._waiting.popleft())
            room -= len(batch[-1].texts)
        return batch


def _move(batch: Sequence[_Request]) -> None:
    for request in batch:
        request.moved.set()


@dataclass(frozen=True, slots=True)
class Queries:
    """Those of all encoders that work on this machine's processor."""

    lanes: Sequence[QueryLane]

    @property
    def calm(self) -> bool:
        """Whether no query came or went a moment ago."""
        return all(lane.calm for lane in self.lanes)

    async def let_pass(self) -> None:
        """Return once every query that waits now is done; later ones are not waited for."""
        for lane in self.lanes:
            await lane.let_pass()


class BulkLane:
    """Encodes as many batches at a time as suits the encoder; small ones beside queries that it
    would keep waiting."""

    def __init__(
        self, encoder: Encoder, limits: EmbeddingLimits, clock: Clock, queries: Queries
    ) -> None:
        self._encoder = encoder
        self._limits = limits
        self._queue = _Queue(Lane.BULK, limits.bulk_queue_texts, clock)
        self._queries = queries
        self._turns = asyncio.Semaphore(encoder.bulk_calls)

    async def encode(
        self,
        texts: Sequence[str],
        encode_batch: Callable[[list[int]], Awaitable[Sequence[Encoded]]],
        *,
        check: Callable[[Sequence[int]], None],
    ) -> tuple[Encoded, ...]:
        """The results of `encode_batch` for every position, in order.

        `check` sees the length of every text in tokens and may refuse them before any is encoded.
        """
        self._queue.enter(len(texts))
        try:
            async with self._turns:
                lengths = await self._encoder.count_tokens(texts)
            check(lengths)
            window = self._encoder.description.fingerprint.max_tokens
            waiting = LengthSorted([min(length, window) for length in lengths])
            found: dict[int, Encoded] = {}

            async def take_turns() -> None:
                while waiting:
                    async with self._turns:
                        if self._encoder.bulk_batch_tokens is None:
                            await self._queries.let_pass()
                        if not waiting:  # taken by the other turns meanwhile
                            return
                        batch = waiting.take(self._budget)
                        encoded = await self._queue.timed(len(batch), encode_batch(batch))
                        found.update(zip(batch, encoded, strict=True))

            await _side_by_side(self._encoder.bulk_calls, take_turns)
            return tuple(found[position] for position in range(len(texts)))
        finally:
            self._queue.leave(len(texts))

    @property
    def _budget(self) -> int:
        elsewhere = self._encoder.bulk_batch_tokens
        if elsewhere is not None:
            return elsewhere
        return self._limits.batch_tokens if self._queries.calm else 0


@dataclass(frozen=True, slots=True)
class Lanes:
    """An encoder, and the two ways to it."""

    encoder: Encoder
    query: QueryLane
    bulk: BulkLane


def lanes_by_name(
    encoders: Sequence[Encoder], limits: EmbeddingLimits, clock: Clock
) -> dict[str, Lanes]:
    """The lanes of every encoder, by its name and in order."""
    queries = [QueryLane(encoder, limits, clock) for encoder in encoders]
    here = Queries(tuple(lane for lane in queries if lane.is_here))
    return {
        encoder.description.name: Lanes(encoder, query, BulkLane(encoder, limits, clock, here))
        for encoder, query in zip(encoders, queries, strict=True)
    }


async def _side_by_side(count: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the work so many times at once; the first failure ends all and speaks for them."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count - 1):
                group.create_task(work())
            await work()  # at once: whoever has just counted keeps its place in the queue
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
