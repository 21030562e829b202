"""Ends what is under way of callers who would not be let in any more."""

from __future__ import annotations

from ragmesh.core.clock import Clock
from ragmesh.gateway.limiting.gate import Gate
from ragmesh.gateway.ports import Identity

LOOK_SECONDS = 0.5
"""Keys are known a moment after they change; together the two are well below 5 seconds."""


async def turn_out_refused(gate: Gate, identity: Identity, clock: Clock) -> None:
    """Look again and again, until cancelled: a stream of a revoked key is not read to its end."""
    while True:
        await clock.sleep(LOOK_SECONDS)
        gate.turn_out(identity.refusal_of)
