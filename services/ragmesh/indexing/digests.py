"""Digests of whole files, which may take too long for an event loop."""

from __future__ import annotations

import asyncio
from hashlib import sha256

_OFF_LOOP_BYTES = 262_144


async def digest_of(content: bytes) -> str:
    """SHA-256 of the content, as the catalog keeps it."""
    if len(content) > _OFF_LOOP_BYTES:
        return (await asyncio.to_thread(sha256, content)).hexdigest()
    return sha256(content).hexdigest()
