"""Topics of a test's own on the server that all tests share."""

from __future__ import annotations

import uuid
from dataclasses import replace

from aiokafka.admin import NewTopic

from ragmesh.chassis.events.kafka import clients
from ragmesh.chassis.events.kafka.address import KafkaAddress
from ragmesh.chassis.events.port import DEAD_SUFFIX
from ragmesh.testing.events import TOPIC

TOPICS = (TOPIC, TOPIC + DEAD_SUFFIX, "another")


def own_place(url: str) -> KafkaAddress:
    """An address whose topics nobody else uses."""
    return replace(KafkaAddress.parse(url), prefix=f"t{uuid.uuid4().hex[:12]}.")


async def make_topics(address: KafkaAddress, *names: str, partitions: int = 2) -> None:
    """Make topics there, as the test needs them."""
    admin = clients.admin(address)
    try:
        await admin.start()
        made = [NewTopic(address.topic(name), partitions, 1) for name in names or TOPICS]
        reply = await admin.create_topics(made)
        assert not any(error[1] for error in reply.topic_errors), reply
    finally:
        await admin.close()
