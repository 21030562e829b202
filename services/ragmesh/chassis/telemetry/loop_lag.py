"""Measures how late the event loop is: what everybody in the process waits for in vain."""

from __future__ import annotations

import asyncio

from ragmesh.chassis.telemetry.metering import Meter
from ragmesh.chassis.telemetry.signals import LOOP_LAG

_EVERY_SECONDS = 0.1


async def measure_loop_lag(meter: Meter) -> None:
    """Measure until cancelled."""
    loop = asyncio.get_running_loop()
    lag = meter.distribution(LOOP_LAG)
    while True:
        due = loop.time() + _EVERY_SECONDS
        await asyncio.sleep(_EVERY_SECONDS)
        lag.record(max(0.0, loop.time() - due))
