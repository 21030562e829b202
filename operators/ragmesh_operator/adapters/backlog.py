"""What waits, as the page `/backlog` of indexing tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from ragmesh.core.errors import UnavailableError
from ragmesh_operator.scaling import Reading

_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BacklogPage:
    """The port `BacklogSource` over HTTP."""

    session: aiohttp.ClientSession
    url: str

    async def read(self, at: float) -> Reading:
        """What waits now; UnavailableError when nobody answers."""
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with self.session.get(self.url, timeout=timeout) as reply:
                told = await reply.json(content_type=None)
            return reading_of(at, told)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UnavailableError(f"the backlog is not told: {type(error).__name__}") from error


def reading_of(at: float, told: object) -> Reading:
    """What the page says; UnavailableError with its own words where it does not know."""
    if not isinstance(told, Mapping):
        raise UnavailableError("the backlog is not told: it is no such page")
    if "total" not in told or "published" not in told:
        raise UnavailableError(f"the backlog is not told: {str(told.get('status'))[:200]}")
    return Reading(at, int(told["total"]), int(told["published"]))
