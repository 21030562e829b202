"""Texts of like length share a batch: padding is what mixed lengths really cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_NARROW_TOKENS = 32
"""Below this width a call costs more than its padding."""


class LengthSorted:
    """Positions of texts, the longest first, handed out a batch at a time."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths
        # Reversed, so that the longest text is the cheapest one to take.
        self._positions = sorted(range(len(lengths)), key=lengths.__getitem__)

    def __bool__(self) -> bool:
        return bool(self._positions)

    def take(self, budget: int) -> list[int]:
        """The next batch: at least one text, at most `budget` tokens with its padding."""
        batch = [self._positions.pop()]
        width = self._lengths[batch[0]]
        while self._positions and (len(batch) + 1) * width <= budget:
            if max(2 * self._lengths[self._positions[-1]], _NARROW_TOKENS) < width:
                break
            batch.append(self._positions.pop())
        return batch


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """All batches of the texts under one budget."""
    waiting = LengthSorted(lengths)
    while waiting:
        yield waiting.take(budget)
