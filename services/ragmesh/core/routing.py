"""Whom a question goes to while index versions share them: sticky, and the same everywhere."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256


def picked(weights: Sequence[int], affinity: str) -> int:
    """The place for this affinity: the same while the weights are; "" = any.

    While the weight of the first grows or shrinks, only those move who must.
    """
    total = sum(weights)
    if total <= 0:
        return 0
    if affinity:
        number = int.from_bytes(sha256(affinity.encode()).digest()[:8], "big") % total
    else:
        number = secrets.randbelow(total)
    for place, weight in enumerate(weights):
        number -= weight
        if number < 0:
            return place
    return len(weights) - 1
