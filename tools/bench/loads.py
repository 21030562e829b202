"""Load that is offered by schedule: a slow answer delays no other call, so nothing hides in it.

The latency of a call counts from the moment at which it should have begun. A generator that
stands still, or waits for answers, would otherwise leave out the very calls that suffer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

Call = Callable[[], Awaitable[object]]
STALL_SECONDS = 3.0
_RATE = 100.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds of all calls of one load, the shortest first."""

    seconds: tuple[float, ...]
    failures: tuple[tuple[str, int], ...] = ()
    """What those that failed said, and how many said it."""

    @property
    def failed(self) -> int:
        return sum(count for _, count in self.failures)

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the calls was answered."""
        return self.seconds[min(round(share * len(self.seconds)), len(self.seconds) - 1)]


@dataclass(frozen=True, slots=True)
class Served:
    """One call of a load."""

    seconds: float
    """From the moment at which it should have begun."""
    result: object = None
    failure: str = ""
    """Empty when it was answered."""


async def timed(call: Call) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


async def serve(call: Call, moments: Iterable[float]) -> list[Served]:
    """Begin a call at each of these seconds from now; return when the last of them has ended."""
    # Not the loop's own clock, which counts milliseconds.
    begun = time.perf_counter()
    served: list[Served] = []

    async def one(moment: float) -> None:
        try:
            result = await call()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            served.append(Served(time.perf_counter() - moment, failure=failure))
        else:
            served.append(Served(time.perf_counter() - moment, result))

    async with asyncio.TaskGroup() as group:
        for planned in moments:
            moment = begun + planned
            if (early := moment - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(one(moment))
    return served


async def offer(call: Call, *, a_second: float, seconds: float) -> Latencies:
    """Begin calls at that rate for so long; return when the last of them has ended."""
    return latencies(await serve(call, [n / a_second for n in range(round(a_second * seconds))]))


def latencies(served: Sequence[Served]) -> Latencies:
    """How long the calls took, those that failed as well."""
    failures = Counter(one.failure for one in served if one.failure)
    return Latencies(tuple(sorted(one.seconds for one in served)), tuple(failures.most_common()))


async def bursts(call: Call, *, count: int, at_once: int, every_seconds: float) -> Latencies:
    """So many calls begin in the same moment, again and again by schedule."""
    begun = time.perf_counter()
    taken: list[float] = []

    async def one(moment: float) -> None:
        await call()
        taken.append(time.perf_counter() - moment)

    async with asyncio.TaskGroup() as group:
        for burst in range(count):
            moment = begun + burst * every_seconds
            if (early := moment - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            for _ in range(at_once):
                group.create_task(one(moment))
    return Latencies(tuple(sorted(taken)))


async def one_by_one(call: Call, count: int) -> Latencies:
    """The time of each call with nothing else under way: what a hop costs, not what it bears."""
    taken: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - begun)
    return Latencies(tuple(sorted(taken)))


async def crowd(call: Call, count: int, *, at_once: int) -> None:
    """So many calls as fast as they go, for what each costs the processor; no latency is taken."""

    async def some() -> None:
        for _ in range(count // at_once):
            await call()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some())


async def shows_a_stall(stall_seconds: float = STALL_SECONDS) -> bool:
    """Whether a planted stall of everything, this generator too, is seen in its p99."""
    begun = time.monotonic()
    planted = False

    async def call() -> None:
        nonlocal planted
        if not planted and time.monotonic() - begun > stall_seconds / 3:
            planted = True
            time.sleep(stall_seconds)  # noqa: ASYNC251 - the stall

    seen = await offer(call, a_second=_RATE, seconds=5 * stall_seconds / 3)
    return seen.quantile(0.99) > 0.9 * stall_seconds
