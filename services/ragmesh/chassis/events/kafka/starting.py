"""Starts clients of aiokafka, which leave a connection behind when they are broken off."""

from __future__ import annotations

import asyncio
from typing import Any

_PATIENCE_SECONDS = 2.0


async def start(client: Any) -> None:
    """Start a client; whoever is cancelled meanwhile waits a moment for it to get somewhere."""
    starting: asyncio.Task[None] = asyncio.get_running_loop().create_task(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting}, timeout=_PATIENCE_SECONDS)
        starting.cancel()
        await asyncio.wait({starting})
        if not starting.cancelled():
            starting.exception()  # looked at: nobody is left to be told
        raise
