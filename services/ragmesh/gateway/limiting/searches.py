"""How many searches may be under way: as many as are found without making each other late.

A search that is asked for beside few others shows how long one takes; later ones are measured by
it. As long as they take about as long, the limit grows; where they take longer because there are
more of them, it shrinks, so that what is let in stays in time and the rest is refused at once. Each
kind of search is measured by its own, so that a small collection is no measure of a large one. What
the cache answers and what a language model takes its time for are not counted: they say nothing of
how busy the index is.

All of this is for crowds. As long as no more come than were answered before, slowness is no reason
to refuse: replicas end and start, or the machine does something else, and it passes.

Places are shared as those of the gate are: in a crowd a key may hold so many times as many as are
free, a tenant twice that, and the last one is for a key that has none, so that whoever comes beside
a flood finds one.

The rule of the limit is that of Netflix's gradient limit and of Envoy's adaptive concurrency, whose
window of few requests is ours: without it, a crowd that never ends would be the measure of itself.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import OverloadedError
from ragmesh.core.search import Retrieval, RetrieveQuery
from ragmesh.gateway.limiting.gate import OnRefusal, unheard
from ragmesh.gateway.limiting.pace import Pace
from ragmesh.gateway.limiting.quotas import GATEWAY
from ragmesh.gateway.ports import Retriever

FEWEST = 4
"""Searches at a time that are let in however long they take."""
UNHURRIED = 40
"""Searches at a time that are let in as long as no more come than are borne: while replicas end and
start, each may take a second or two, and those who ask are better off waiting for it."""
_FIRST = 16.0
_KEY_SHARE, _TENANT_SHARE = 4, 8
"""Alone, a key may hold four fifths of the places, and never the last. They are fewer than the
gate's, and most are work that has begun."""
_ALONE = 2
"""Searches at a time, this one among them, that tell how long one takes."""
_TOLERANCE = 1.5
"""So many times as long as alone a search may take before the limit shrinks."""
_STEEPEST = 0.5
_LEARNING = 0.1
_WINDOW_SECONDS = 0.25
_WINDOW_SAMPLES = 8
_PATIENCE_SECONDS = 0.05
"""Who comes at the same time is let in together; only a crowd that lasts is refused."""
_QUIET_SECONDS = 1.0
"""After so long without a refusal there is no crowd any more."""
_PROBE_EVERY_SECONDS = 30.0
_PROBE_SECONDS = 0.5
_MOST_KINDS = 1_000
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Window:
    """What the searches said that ended since the limit was last set."""

    began: float
    samples: int = 0
    slowness: float = 0.0
    most: int = 0
    """Searches that were under way at one time."""

    @property
    def mean(self) -> float:
        """How many times as long as alone they took."""
        return self.slowness / self.samples


class SearchRoom:
    """Places for searches; one event loop calls it."""

    def __init__(
        self,
        clock: Clock,
        *,
        most: Callable[[], int],
        on_refusal: OnRefusal = unheard,
    ) -> None:
        self._clock = clock
        self._most = most
        self._on_refusal = on_refusal
        self._limit = _FIRST
        self._under_way = 0
        self._held: Counter[str] = Counter()
        """Searches under way by key and by tenant."""
        self._alone: OrderedDict[Hashable, float] = OrderedDict()
        self._window = _Window(clock.monotonic())
        self._pace = Pace(clock)
        self._full_since: float | None = None
        self._refused_at = -math.inf
        self._probe_at = -math.inf

    @property
    def limit(self) -> int:
        """How many may be under way."""
        if self._pace.is_borne:
            return min(max(UNHURRIED, int(self._limit)), self._most())
        if self._is_probing(self._clock.monotonic()):
            return _ALONE
        return min(int(self._limit), self._most())

    @contextmanager
    def place(self, kind: Hashable, caller: Caller) -> Iterator[None]:
        """A search of this kind is under way for the time of the block.

        OverloadedError when there is a crowd, and as many are under way as may be.
        """
        began, holders = self._clock.monotonic(), _holders(caller)
        self._pace.came()
        self._refuse_crowd(began, holders)
        self._under_way += 1
        self._held.update(holders)
        beside = self._under_way
        self._window.most = max(self._window.most, beside)
        try:
            yield
            self._pace.answered()
            self._learn(kind, self._clock.monotonic() - began, beside)
        finally:
            self._under_way -= 1
            self._let_go(holders)
            if self._under_way < self.limit:
                self._full_since = None

    def _let_go(self, holders: tuple[str, str]) -> None:
        for holder in holders:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]

    def _has_place(self, holders: tuple[str, str]) -> bool:
        free = self.limit - self._under_way
        key, tenant = (self._held[holder] for holder in holders)
        if free == 1 and key:
            return False  # of few places the shares alone leave none to whoever else comes
        return key < _KEY_SHARE * free and tenant < _TENANT_SHARE * free

    def _refuse_crowd(self, now: float, holders: tuple[str, str]) -> None:
        if self._has_place(holders):
            return
        if self._full_since is None:
            self._full_since = now
        is_crowd = now - self._refused_at < _QUIET_SECONDS
        if not is_crowd and now - self._full_since < _PATIENCE_SECONDS:
            return
        if not is_crowd and self._alone:
            self._probe_at = now - _PROBE_SECONDS  # what is known is fresh enough
        elif not is_crowd or now - self._probe_at > _PROBE_EVERY_SECONDS:
            self._probe_at = now
        self._refused_at = now
        self._pace.refused()
        self._on_refusal(OverloadedError.reason, GATEWAY)
        raise OverloadedError(
            "as many searches are under way as are answered in time",
            metadata={"scope": GATEWAY},
            retry_after_seconds=_RETRY_SECONDS,
        )

    def _is_probing(self, now: float) -> bool:
        """Whether few are let in, to see how long one takes, although there is a crowd."""
        return 0 <= now - self._probe_at < _PROBE_SECONDS

    def _learn(self, kind: Hashable, seconds: float, beside: int) -> None:
        alone = self._alone.get(kind)
        if beside <= _ALONE:
            alone = seconds if alone is None else alone + _LEARNING * (seconds - alone)
            self._alone[kind] = alone
            self._alone.move_to_end(kind)
            if len(self._alone) > _MOST_KINDS:
                self._alone.popitem(last=False)
        elif alone is not None:
            self._window.samples += 1
            self._window.slowness += seconds / max(alone, 1e-6)
        self._adapt()

    def _adapt(self) -> None:
        now, window = self._clock.monotonic(), self._window
        if now - window.began < _WINDOW_SECONDS or window.samples < _WINDOW_SAMPLES:
            return
        gradient = max(_STEEPEST, min(1.0, _TOLERANCE / window.mean))
        wanted = self._limit * gradient + math.sqrt(self._limit)
        # Of more than there were nothing is known.
        is_used = window.most >= self._limit / 2
        if wanted < self._limit or is_used:
            self._limit = max(float(FEWEST), min(wanted, float(self._most())))
        self._window = _Window(now)


def _holders(caller: Caller) -> tuple[str, str]:
    """Whose places a search takes: of a key, and of its tenant."""
    if isinstance(caller, Machine):
        return f"machine {caller.name}", "machines"
    tenant = caller.tenant_uid
    return f"{tenant} {caller.key_id or caller.subject}", tenant


@dataclass(frozen=True, slots=True)
class RoomyRetriever:
    """A Retriever that is asked as long as there is room."""

    retriever: Retriever
    room: SearchRoom

    async def retrieve(self, caller: Caller, query: RetrieveQuery) -> Retrieval:
        """See `Retriever`; OverloadedError when there is no place left."""
        with self.room.place((query.index_version_uid, query.mode), caller):
            return await self.retriever.retrieve(caller, query)
