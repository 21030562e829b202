"""Events that one member of a group took from Kafka and has not finished.

Kafka gives records in order and keeps one offset a partition; handlers finish in any order. What
lies between is in memory here, and is taken again by whoever gets the partition next.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from ragmesh.chassis.events.consuming import Lease, Taken
from ragmesh.chassis.events.kafka.offsets import Progress, Tries
from ragmesh.chassis.events.port import Cause, DeadLetter, Event
from ragmesh.chassis.events.retrying import Retry
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError

_log = logging.getLogger(__name__)
_BURIAL_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Room:
    """How many events a member holds at most, beside those that are handled."""

    fresh: int = 500
    """Taken and not tried yet: what a handler takes next is here already."""
    held: int = 10_000
    """With those that wait for their next attempt or for their burial."""


@dataclass(slots=True)
class _Held:
    position: int
    partition: int
    offset: int
    event: Event
    tries: Tries
    due_at: float | None = None
    """When it is tried again; None = it waits for no moment."""
    is_leased: bool = False
    cause: Cause | None = None
    """Why it is to be buried."""


@dataclass(slots=True)
class _Partition:
    progress: Progress
    """What was done before it was ours."""
    taken: int
    held: dict[int, _Held] = field(default_factory=dict)
    """By offset, in its order."""
    is_ending: bool = False
    """Somebody else will have it: nothing of it is handed out any more."""
    committed: tuple[int, str] | None = None

    def now(self) -> Progress:
        """How far it is; what was known of offsets that were not taken again yet still holds."""
        later = {at: tries for at, tries in self.progress.unfinished.items() if at >= self.taken}
        unfinished = {offset: held.tries for offset, held in self.held.items()} | later
        taken = max(self.taken, self.progress.taken)
        return Progress(min(unfinished, default=taken), taken, unfinished)


class HeldEvents:
    """Satisfies `Queue` for one topic and group; a member fills it and commits what is done."""

    def __init__(self, group: str, clock: Clock, room: Room | None = None) -> None:
        self._group = group
        self._clock = clock
        self._room = Room() if room is None else room
        self._partitions: dict[int, _Partition] = {}
        self._positions = itertools.count()
        self._by_position: dict[int, _Held] = {}
        self._fresh: deque[_Held] = deque()
        self._retries: list[tuple[float, int]] = []
        self._burials: deque[_Held] = deque()
        self._arrived = asyncio.Event()
        self._released = asyncio.Event()
        self._doomed = asyncio.Event()

    # -- Queue: asked by a Consumer ----------------------------------------------

    async def take(self, limit: int) -> Taken:
        """See `Queue`."""
        now = self._clock.monotonic()
        leases: list[Lease] = []
        while len(leases) < limit and (held := self._next(now)) is not None:
            held.is_leased, held.due_at = True, None
            tries = held.tries
            leases.append(Lease(held.position, held.event, tries.attempts, tries.strikes))
        self._drop_stale_retries()
        next_due = self._retries[0][0] - now if self._retries else None
        return Taken(tuple(leases), next_due)

    async def finish(self, lease: Lease) -> None:
        """See `Queue`."""
        held = self._by_position.pop(lease.position, None)
        if held is not None:
            del self._partitions[held.partition].held[held.offset]

    async def postpone(self, lease: Lease, retry: Retry) -> None:
        """See `Queue`."""
        held = self._by_position.get(lease.position)
        if held is None:
            return
        held.tries = Tries(lease.attempts + 1, lease.strikes + int(retry.is_strike))
        held.due_at = self._clock.monotonic() + retry.delay_seconds
        heapq.heappush(self._retries, (held.due_at, held.position))

    async def give_up(self, lease: Lease, cause: Cause) -> None:
        """See `Queue`; a dead-letter topic that is away takes no handler's room."""
        held = self._by_position.get(lease.position)
        if held is None:
            return
        held.cause = cause
        self._burials.append(held)
        self._doomed.set()

    def release(self, lease: Lease) -> None:
        """See `Queue`."""
        held = self._by_position.get(lease.position)
        if held is not None:
            held.is_leased = False
            if held.due_at is None and held.cause is None:  # interrupted
                self._fresh.appendleft(held)
        self._released.set()

    async def arrived(self) -> None:
        """See `Queue`."""
        await self._arrived.wait()
        self._arrived.clear()

    # -- asked by the member -----------------------------------------------------

    @property
    def partitions(self) -> frozenset[int]:
        """Those whose events are held here."""
        return frozenset(self._partitions)

    @property
    def is_empty(self) -> bool:
        """Whether every event that was taken is finished."""
        return not self._by_position

    @property
    def room(self) -> int:
        """How many more may be taken from Kafka."""
        free = min(self._room.fresh - len(self._fresh), self._room.held - len(self._by_position))
        return max(0, free)

    @property
    def is_roomy(self) -> bool:
        """Whether it is time to take more again."""
        return (
            len(self._fresh) <= self._room.fresh // 2
            and len(self._by_position) <= self._room.held // 2
        )

    def open(self, partition: int, progress: Progress) -> None:
        """The partition is ours from now on; so much of it was done before."""
        self._partitions[partition] = _Partition(progress, progress.offset)

    def add(self, partition: int, offset: int, event: Event) -> None:
        """An event was taken; one that was finished before is passed over."""
        ours = self._partitions[partition]
        if offset < ours.taken:
            # The log begins anew, restored or made again: nothing is known of these events, and
            # what is held of the former ones must not pass for them.
            self._forget([partition])
            ours.progress, ours.committed = Progress(offset, offset), None
        ours.taken = offset + 1
        tries = ours.progress.tries_of(offset)
        if tries is None:
            return
        held = _Held(next(self._positions), partition, offset, event, tries)
        ours.held[offset] = self._by_position[held.position] = held
        self._fresh.append(held)
        self._arrived.set()

    def uncommitted(self) -> dict[int, Progress]:
        """How far each partition is that went on since `committed`."""
        found = {number: ours.now() for number, ours in self._partitions.items()}
        return {
            number: progress
            for number, progress in found.items()
            if self._partitions[number].committed != (progress.offset, progress.write())
        }

    def committed(self, done: Mapping[int, Progress]) -> None:
        """Kafka keeps this now."""
        for number, progress in done.items():
            if number in self._partitions:
                self._partitions[number].committed = (progress.offset, progress.write())

    def wind_up(self, partitions: Collection[int]) -> None:
        """Hand out nothing more of these."""
        for number in partitions:
            if number in self._partitions:
                self._partitions[number].is_ending = True

    async def idle(self, partitions: Collection[int]) -> None:
        """Return when no event of these is being handled."""
        while any(held.is_leased for held in self._of(partitions)):
            self._released.clear()
            await self._released.wait()

    def close(self, partitions: Collection[int]) -> frozenset[int]:
        """Forget these; positions of what is being handled in vain."""
        leased = frozenset(held.position for held in self._of(partitions) if held.is_leased)
        self._forget(partitions)
        for number in partitions:
            self._partitions.pop(number, None)
        return leased

    async def bury(self, append: Callable[[Event], Awaitable[None]]) -> None:
        """Send what was given up to the dead letters, until cancelled.

        Meanwhile it is unfinished: it comes again to whoever gets its partition.
        """
        while True:
            await self._doomed.wait()
            self._doomed.clear()
            while self._burials:
                held = self._burials[0]
                if held.cause is not None:
                    await self._bury(held, held.cause, append)
                if self._burials and self._burials[0] is held:
                    self._burials.popleft()

    async def _bury(
        self, held: _Held, cause: Cause, append: Callable[[Event], Awaitable[None]]
    ) -> None:
        buried = DeadLetter(held.event, self._group, cause).bury()
        told = ""
        while self._is_ours(held):
            try:
                await append(buried)
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                if error.reason != told:
                    facts = {"topic": buried.topic, "reason": error.reason}
                    _log.warning("dead letters wait", extra=facts)
                    told = error.reason
                await self._clock.sleep(error.retry_after_seconds or _BURIAL_PAUSE_SECONDS)
            else:
                if self._is_ours(held):
                    del self._by_position[held.position]
                    del self._partitions[held.partition].held[held.offset]
                return

    # -- inside --------------------------------------------------------------------

    def _next(self, now: float) -> _Held | None:
        """What is to be handled next: a retry that is due, else what came first."""
        self._drop_stale_retries()
        if self._retries and self._retries[0][0] <= now:
            return self._by_position[heapq.heappop(self._retries)[1]]
        while self._fresh:
            held = self._fresh.popleft()
            if not self._partitions[held.partition].is_ending:
                return held
        return None

    def _drop_stale_retries(self) -> None:
        while self._retries and not self._waits(*self._retries[0]):
            heapq.heappop(self._retries)

    def _waits(self, due_at: float, position: int) -> bool:
        held = self._by_position.get(position)
        if held is None or held.due_at != due_at:
            return False
        return not self._partitions[held.partition].is_ending

    def _of(self, partitions: Collection[int]) -> list[_Held]:
        return [
            held
            for number in partitions
            if number in self._partitions
            for held in self._partitions[number].held.values()
        ]

    def _forget(self, partitions: Collection[int]) -> None:
        for held in self._of(partitions):
            del self._by_position[held.position]
            del self._partitions[held.partition].held[held.offset]
        self._fresh = deque(held for held in self._fresh if self._is_ours(held))
        self._burials = deque(held for held in self._burials if self._is_ours(held))

    def _is_ours(self, held: _Held) -> bool:
        return held.position in self._by_position
