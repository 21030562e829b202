"""How long each stage of a question took, for the user and for whoever follows its trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from ragmesh.core.clock import Clock
from ragmesh.core.search import Timings
from ragmesh.gateway.ports import StageSpans


class NoSpans:
    """Nobody follows traces."""

    def stage(self, _name: str) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()


@dataclass(slots=True)
class Stopwatch:
    """Collects stages in the order in which they end; `total` runs from its making."""

    clock: Clock
    spans: StageSpans
    started: float = field(init=False)
    _stages: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = self.clock.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens in the block, also when it fails."""
        began = self.clock.monotonic()
        try:
            with self.spans.stage(name):
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
