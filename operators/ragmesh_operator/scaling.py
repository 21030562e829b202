"""How many indexers what waits asks for; pure, and slow to take away.

`clamp(ceil(backlog / (target lag * documents a second of one)), min, min(max, partitions))`: up at
once, down one step at a time and only when fewer, with a quarter to spare, were enough for the
whole time of stabilisation.

What stands still asks for nobody: while workers are idle although something waits, the least that
waited is taken for stuck, so that a partition that no worker can move never holds the maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

_SPARE = 1.25
"""How much more than now fewer must be able to do; noise of a fifth changes nothing."""
_IDLE = 0.1
"""Below this share of what they could do, workers are idle."""
_STUCK_SECONDS = 120.0
"""How long they must have been, at the least."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is wanted of the indexers."""

    least: int
    most: int
    """Partitions are counted in."""
    target_lag_seconds: float
    documents_per_second: float
    """Of one indexer."""
    stabilization_seconds: float
    step: int

    @property
    def share(self) -> float:
        """Waiting documents that one indexer does in time."""
        return self.target_lag_seconds * self.documents_per_second

    def wish(self, waiting: float) -> int:
        """How many so many waiting documents ask for."""
        return max(self.least, min(math.ceil(waiting / self.share), self.most))


@dataclass(frozen=True, slots=True)
class Reading:
    """What waited at a moment."""

    at: float
    """Seconds of a clock that never goes back."""
    waiting: int
    published: int
    """Documents that were published ever."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many indexers there should be, and why."""

    replicas: int
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """What was seen since the last change, and before as far as it matters."""

    readings: tuple[Reading, ...] = ()
    changed_at: float | None = None
    """When the number was last changed; None = not yet."""

    def seen(self, reading: Reading, *, keep_seconds: float) -> History:
        """With one more reading, without those that are too old."""
        first = reading.at - keep_seconds
        kept = [one for one in self.readings if one.at >= first]
        older = [one for one in self.readings if one.at < first][-1:]
        return replace(self, readings=(*older, *kept, reading))

    def interrupted(self) -> History:
        """What waits is unknown: nothing was stable."""
        return History(changed_at=self.changed_at)


@dataclass(slots=True)
class Scale:
    """Decides again and again; one a workload."""

    history: History = field(default_factory=History)

    def decide(self, rule: Rule, replicas: int, reading: Reading | None) -> Decision:
        """How many there should be from now on."""
        if reading is None:
            self.history = self.history.interrupted()
            return Decision(replicas, "BacklogUnknown")
        keep = max(rule.stabilization_seconds, _STUCK_SECONDS)
        self.history = self.history.seen(reading, keep_seconds=keep)
        decision = _decide(rule, replicas, self.history)
        if decision.replicas != replicas:
            self.history = replace(self.history, changed_at=reading.at)
        return decision


def _decide(rule: Rule, replicas: int, history: History) -> Decision:
    now = history.readings[-1]
    stuck = stuck_of(rule, replicas, history.readings)
    wish = rule.wish(max(now.waiting - stuck, 0))
    if replicas < rule.least or wish > replicas:
        return Decision(wish, "Backlog")
    if replicas > rule.most:
        return Decision(rule.most, "AboveMaximum")
    since = now.at - rule.stabilization_seconds
    window = [one for one in history.readings if one.at >= since]
    is_covered = history.readings[0].at <= since
    is_early = history.changed_at is not None and history.changed_at > since
    spared = max(rule.wish(max(one.waiting - stuck, 0) * _SPARE) for one in window)
    if not is_covered or is_early or spared >= replicas:
        return Decision(replicas, "Stable")
    return Decision(max(spared, replicas - rule.step), "Idle")


def stuck_of(rule: Rule, replicas: int, readings: Sequence[Reading]) -> int:
    """How much of what waits no worker moves: the least of it, if they were idle meanwhile."""
    first, last = readings[0], readings[-1]
    seconds = last.at - first.at
    if seconds < _STUCK_SECONDS:
        return 0
    done = max(last.published - first.published, 0)
    if done >= _IDLE * seconds * rule.documents_per_second * replicas:
        return 0
    # More has come than is done: that is no standstill, whoever does it.
    least_early = min(one.waiting for one in readings if one.at <= first.at + seconds / 2)
    least_late = min(one.waiting for one in readings if one.at >= first.at + seconds / 2)
    return min(least_early, least_late)
