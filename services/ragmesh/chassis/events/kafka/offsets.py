"""What a group has done of a partition, as Kafka keeps it: an offset, and words beside it.

The offset is the lowest unfinished one. A slow event would hold it back and make all that was
done behind it come again after a restart; so the words say which offsets behind it are unfinished,
and how often they were tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

WORDS_LIMIT = 4_000
"""Brokers take 4,096 bytes (`offset.metadata.max.bytes`)."""
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Tries:
    """How often an event was tried in vain."""

    attempts: int = 0
    strikes: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a group is in a partition."""

    offset: int
    """The lowest that is not finished."""
    taken: int
    """The first that was never taken; all between the two are finished, but for these: """
    unfinished: Mapping[int, Tries] = field(default_factory=dict)

    @classmethod
    def read(cls, offset: int, words: str) -> Self:
        """What was committed; words that nobody understands say that nothing behind it is done."""
        try:
            version, ahead, *rest = words.split(";")
            if version != _VERSION:
                return cls(offset, offset)
            return cls(offset, offset + int(ahead), dict(_entries(offset, rest)))
        except ValueError:
            return cls(offset, offset)

    def write(self) -> str:
        """The words to commit beside the offset; what there is no room for comes again."""
        parts: list[str] = []
        room = WORDS_LIMIT - len(_VERSION) - 24
        before, taken = self.offset, self.taken
        for offset, tries in sorted(self.unfinished.items()):
            part = _entry(offset - before, tries)
            room -= len(part) + 1
            if room < 0:
                taken = offset
                break
            parts.append(part)
            before = offset
        return ";".join((_VERSION, str(taken - self.offset), *parts))

    def tries_of(self, offset: int) -> Tries | None:
        """How often the event was tried; None when it is finished."""
        if offset >= self.taken:
            return Tries()
        return self.unfinished.get(offset)


def _entry(step: int, tries: Tries) -> str:
    if tries == Tries():
        return str(step)
    return f"{step},{tries.attempts},{tries.strikes}"


def _entries(offset: int, parts: list[str]) -> list[tuple[int, Tries]]:
    found = []
    for part in parts:
        step, *tries = map(int, part.split(","))
        offset += step
        found.append((offset, Tries(*tries)))
    return found
