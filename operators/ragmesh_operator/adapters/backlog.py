"""What waits, as the page `/backlog` of indexing tells it."""

from __future__ import annotations

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
                reply.raise_for_status()
                told = await reply.json(content_type=None)
            return Reading(at, int(told["total"]), int(told["published"]))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            raise UnavailableError(f"the backlog is not told: {type(error).__name__}") from error
