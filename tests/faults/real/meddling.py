"""Faults that somebody makes with the servers' own tools: strange events, lost topics, no room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from ragmesh.chassis.events.facts import ANSWERS_INVALIDATED, DOCUMENTS_CHANGED
from ragmesh.chassis.events.port import DEAD_SUFFIX
from tests.faults.real.mesh import RealMesh
from tests.faults.real.scene import Scene
from tests.faults.real.stored import stored_by

_DAY_MS = 86_400_000
_COPIES = 2
_MOST_EVENTS = 200
_POLL_MS = 1_000
_LETTER_SECONDS = 240.0
_LOOK_SECONDS = 0.2
GARBAGE = b"\xff\xfe no event of anybody's"


def _broker(mesh: RealMesh) -> str:
    """Where the broker is reached past its wire."""
    kafka = mesh.servers["kafka"]
    return f"{kafka.host}:{kafka.ports['kafka']}"


@asynccontextmanager
async def _producer(mesh: RealMesh) -> AsyncIterator[Any]:
    producer = AIOKafkaProducer(bootstrap_servers=_broker(mesh))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def repeat_events(scene: Scene) -> None:
    """Put the last events on their topics again: twice, in another order, and a day late."""
    sent = await _events(scene.mesh)
    again = [event for event in sent for _ in range(_COPIES)]
    scene.chance.shuffle(again)
    late = round(time.time() * 1_000) - _DAY_MS
    async with _producer(scene.mesh) as producer:
        for event in again:
            await producer.send(
                event.topic,
                event.value,
                key=event.key,
                headers=list(event.headers),
                timestamp_ms=late,
            )
        await producer.flush()
    await scene.meanwhile()


async def _events(mesh: RealMesh) -> list[Any]:
    """The newest of what the mesh has put on its topics."""
    topics = [mesh.topic(name) for name in (DOCUMENTS_CHANGED, ANSWERS_INVALIDATED)]
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=_broker(mesh), auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found: list[Any] = []
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            found += [event for batch in batches.values() for event in batch]
        return sorted(found, key=lambda event: event.timestamp)[-_MOST_EVENTS:]
    finally:
        await consumer.stop()


async def send_garbage(scene: Scene) -> None:
    """Put what nobody can read on a topic of documents; it ends among the dead letters."""
    async with stored_by(scene.mesh) as stored:
        users = scene.chance.choice(scene.users)
        place = await stored.place(users.tenant, users.doors[0].collection)
        key = f"{place.tenant_uid}/{place.collection_uid}/{scene.chance.getrandbits(64):x}"
        async with _producer(scene.mesh) as producer:
            topic = scene.mesh.topic(DOCUMENTS_CHANGED)
            for value in (GARBAGE, b""):
                await producer.send_and_wait(topic, value, key=key.encode())
        await scene.meanwhile()
        async with asyncio.timeout(_LETTER_SECONDS):
            while not await stored.letters(place):  # noqa: ASYNC110 - the catalog tells nobody
                await asyncio.sleep(_LOOK_SECONDS)


async def remove_dead_letter_topics(scene: Scene) -> None:
    """Have events die while no topic takes them; they are kept until there is one."""
    topics = [
        scene.mesh.topic(name + DEAD_SUFFIX) for name in (DOCUMENTS_CHANGED, ANSWERS_INVALIDATED)
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=_broker(scene.mesh))
    await admin.start()
    try:
        await admin.delete_topics(topics)
    finally:
        await admin.close()

    async def declare_again() -> None:
        await scene.meanwhile()
        await scene.mesh.command("topics", "apply")

    async with asyncio.TaskGroup() as group:
        group.create_task(declare_again())
        group.create_task(send_garbage(scene))


async def forbid_writes(scene: Scene) -> None:
    """Set what Weaviate keeps of these users to read-only, as it does when its disk is full."""
    async with stored_by(scene.mesh) as stored:
        places = [
            await stored.place(users.tenant, users.doors[0].collection) for users in scene.users
        ]
        for status in ("READONLY", "READY"):
            for place in places:
                tenant = place.index_version_uid
                name = await stored.chunks_collection(tenant)
                reply = await stored.weaviate.put(
                    f"/v1/schema/{name}/shards/{tenant}", json={"status": status}
                )
                assert reply.status_code == 200, reply.text
            await scene.meanwhile()
