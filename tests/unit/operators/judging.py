"""What kubectl says of many resources at once, held against what should become of each."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.unit.operators.examples import Example

_REFUSAL = re.compile(r'\b(\w+)(?:\.ragmesh\.dev)? "([^"]+)" is invalid')


def refusals(said: str) -> dict[tuple[str, str], str]:
    """Who is refused, by kind and name, and in what words."""
    _, *parts = _REFUSAL.split(said)
    found: dict[tuple[str, str], str] = {}
    for kind, name, words in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        found[kind, name] = found.get((kind, name), "") + words
    return found


def misjudged(said: str, asked: Iterable[Example]) -> list[str]:
    """Examples that were not refused, or in other words; each with what was said of it."""
    found = refusals(said)
    return [
        f"{one.rule}: {found.get(one.named, 'taken')}"
        for one in asked
        if not all(word in found.get(one.named, "") for word in one.words)
    ]
