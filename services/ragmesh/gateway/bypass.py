"""Asking the cache without depending on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from ragmesh.core.errors import Kind, RagmeshError

CACHE_UNAVAILABLE = "CACHE_UNAVAILABLE"
Found = TypeVar("Found")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Bypass:
    """One request's way past a cache that fails: it costs time and a mark, never an answer."""

    seconds: float
    """How long the cache is waited for."""
    taken: bool = False

    async def unless_answered(self, work: Awaitable[Found]) -> Found | None:
        """What the cache says; None when it says nothing in time."""
        try:
            async with asyncio.timeout(self.seconds):
                return await work
        except Exception as error:  # mapped to a mark that every caller sees
            away = isinstance(error, TimeoutError) or (
                isinstance(error, RagmeshError) and error.kind is not Kind.INTERNAL
            )
            level = logging.WARNING if away else logging.ERROR
            _log.log(level, "the cache is passed by", exc_info=None if away else error)
        self.taken = True
        return None

    @property
    def degraded(self) -> tuple[str, ...]:
        """What the caller is told."""
        return (CACHE_UNAVAILABLE,) if self.taken else ()
