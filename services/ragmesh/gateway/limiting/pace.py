"""How many searches come, and how many of them are known to be borne.

What was answered once is borne: when as many come and each takes longer for a while, something is
slow, and waiting helps. When far more come than were ever answered, they would wait for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ragmesh.core.clock import Clock

_SPAN_SECONDS = 0.5
_FIRST = 10.0
"""Searches in a span that are believed to be borne before it is known."""
_CROWD = 2.5
"""So many times what is borne are a crowd: a gateway that stands in for another sees twice."""
_STILL = 1.5
"""As long as so many times come it stays one: few searches a span come and end unevenly."""
_FORGETTING = 0.05
"""What is borne falls by this share, of what it was too high, in a span with refusals."""


@dataclass(slots=True)
class _Span:
    """What happened in one span of the clock."""

    number: int
    came: int = 0
    answered: int = 0
    refused: int = 0


class Pace:
    """The pace of searches at a gateway; one event loop calls it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = _Span(self._number())
        self._before = 0
        """How many came in the span before."""
        self._borne = _FIRST
        self._is_crowd = False

    @property
    def is_borne(self) -> bool:
        """Whether no more come than are known to be borne, or little more."""
        self._turn()
        left = self._now.number + 1 - self._clock.monotonic() / _SPAN_SECONDS
        come = self._now.came + left * self._before
        self._is_crowd = come > (_STILL if self._is_crowd else _CROWD) * self._borne
        return not self._is_crowd

    def came(self) -> None:
        """A search was asked for."""
        self._turn()
        self._now.came += 1

    def answered(self) -> None:
        """A search was answered."""
        self._turn()
        self._now.answered += 1

    def refused(self) -> None:
        """A search was refused, for there were too many."""
        self._turn()
        self._now.refused += 1

    def _turn(self) -> None:
        """Begin another span when the last one has passed."""
        number, last = self._number(), self._now
        if number == last.number:
            return
        above = self._borne - last.answered
        if above < 0:
            self._borne = float(last.answered)
        elif last.refused:
            self._borne -= _FORGETTING * above
        self._before = last.came if number == last.number + 1 else 0
        self._now = _Span(number)

    def _number(self) -> int:
        return math.floor(self._clock.monotonic() / _SPAN_SECONDS)
