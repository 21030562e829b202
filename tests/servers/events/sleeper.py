"""A member that may be put to sleep: writes what it finishes to a file, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ragmesh.chassis.events import Delivery
from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.testing.events import GROUP, TOPIC
from tests.servers.events.places import OPTIONS, Place

IMPATIENT: dict[str, Any] = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 500}


async def main(url: str, file: Path) -> None:
    """Take part for ever."""

    async def handle(delivery: Delivery) -> None:
        await asyncio.sleep(0.02)
        with file.open("a") as out:
            out.write(f"{delivery.event.key}\n")

    options = replace(OPTIONS, make_consumer=partial(clients.consumer, **IMPATIENT))
    async with Place(KafkaAddress.parse(url)).log(options) as log:
        await log.consume(TOPIC, GROUP, handle, max_in_flight=2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
