"""How long each stage of a question took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ragmesh.core.clock import Clock
from ragmesh.core.search import Timings


@dataclass(slots=True)
class Stopwatch:
    """Collects stages in the order in which they end; `total` runs from its making."""

    clock: Clock
    started: float = field(init=False)
    _stages: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens in the block, also when it fails."""
        began = self.clock.monotonic()
        try:
            yield
        finally:
            self.add(name, (self.clock.monotonic() - began) * 1_000)

    def add(self, name: str, milliseconds: float) -> None:
        """Take over a time that was measured elsewhere."""
        self._stages.append((name, milliseconds))

    def read(self) -> Timings:
        """Every stage so far, repeated ones added up, and the total."""
        sums: dict[str, float] = {}
        for name, milliseconds in self._stages:
            sums[name] = sums.get(name, 0.0) + milliseconds
        sums["total"] = (self.clock.monotonic() - self.started) * 1_000
        return tuple((name, round(milliseconds, 3)) for name, milliseconds in sums.items())
