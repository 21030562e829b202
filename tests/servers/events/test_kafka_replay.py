"""The pipeline on Kafka: what the log and the catalog can make anew, and what no topic holds."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from ragmesh.chassis.events import Event, EventLog
from ragmesh.chassis.events.facts import (
    ANSWERS_INVALIDATED,
    DOCUMENTS_BULK_CHANGED,
    DOCUMENTS_CHANGED,
)
from ragmesh.chassis.events.kafka.watchdog import Lookout
from ragmesh.chassis.events.port import DEAD_SUFFIX, Handler
from ragmesh.core.documents import DocumentState, JobState, NewCollection, Upload
from ragmesh.core.errors import IndexVersionGoneError
from ragmesh.core.index import DocumentDigest
from ragmesh.core.metadata import Metadata
from ragmesh.core.pages import PageRequest
from ragmesh.indexing.stages import INDEXER
from tests.integration.indexing.running import Running, running
from tests.servers.events.places import Place, until
from tests.unit.indexing.world import ADMIN
from tools.servers.server import Server

pytestmark = pytest.mark.servers
SUBJECTS = (DOCUMENTS_CHANGED, DOCUMENTS_BULK_CHANGED, ANSWERS_INVALIDATED)
TOPICS = (*SUBJECTS, *(topic + DEAD_SUFFIX for topic in SUBJECTS))
DOCUMENTS = 12
SETTLE_SECONDS = 60.0


class NewGroups:
    """The log as consumer groups see it that nobody has heard of."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.append = log.append

    async def consume(self, topic: str, group: str, handle: Handler, *, max_in_flight: int) -> None:
        """As the group's successor."""
        await self._log.consume(topic, f"{group}.anew", handle, max_in_flight=max_in_flight)


async def fill(made: Running) -> None:
    """Twelve documents, of which two are changed and one is deleted."""
    service = made.indexing.service
    await service.create_collection(ADMIN, NewCollection("docs"))
    await made.upload(*(f"The animal{number} sleeps." for number in range(DOCUMENTS)))
    await made.upload("The animal0 hunts.", "The animal1 hunts.")
    await service.delete_document(ADMIN, "docs", f"d{DOCUMENTS - 1}")


async def held(made: Running) -> dict[str, DocumentDigest]:
    """What the index holds of the published revisions, once that is all of them."""
    service = made.indexing.service
    version = (await service.resolve_route(ADMIN, "docs")).index_version_uid
    page = PageRequest(1_000)
    async with asyncio.timeout(SETTLE_SECONDS):
        while True:
            found = await service.list_documents(ADMIN, "docs", filter=None, page=page)
            is_done = {one.state for one in found.items} == {DocumentState.INDEXED}
            with suppress(IndexVersionGoneError):  # until the comparison has made it
                told = await made.retrieval.list_document_digests(INDEXER, version, page)
                digests = {one.document_uid: one for one in told.items}
                if is_done and len(digests) == len(found.items) == DOCUMENTS - 1:
                    return digests
            await asyncio.sleep(0.1)


async def test_a_group_that_begins_with_the_first_event_makes_the_index_and_a_comparison_too(
    kafka_server: Server, tmp_path: Path
) -> None:
    # EV-10
    place = await Place.make(kafka_server.url, *TOPICS)
    async with place.log() as log:
        async with running(tmp_path, log=log, without={"indexer", "reconciler"}) as made:
            await fill(made)
            await until(lambda: _has_events(place, DOCUMENTS))
        async with running(tmp_path, log=NewGroups(log), without={"reconciler"}) as made:
            replayed = await held(made)
            assert await made.found("Where is animal0?") == ["d0"]
    assert {one.revision for one in replayed.values()} == {1, 2}
    shutil.rmtree(tmp_path / "index")
    empty = await Place.make(kafka_server.url, *TOPICS)
    async with empty.log() as log, running(tmp_path, log=log) as made:
        assert await held(made) == replayed


async def test_neither_topics_nor_dead_letters_hold_what_would_have_to_be_erased(
    kafka_server: Server, tmp_path: Path
) -> None:
    # EV-12
    place = await Place.make(kafka_server.url, *TOPICS)
    async with place.log() as log, running(tmp_path, log=log) as made:
        service = made.indexing.service
        await service.create_collection(ADMIN, NewCollection("docs"))
        told: dict[str, Any] = {
            "title": "Secret plan",
            "metadata": Metadata.parse({"author": "Secret Ada"}),
        }
        uploads = [
            Upload(b"The secret.", "secret-1", filename="secret.txt", **told),
            Upload(b"\xff no secret text", "secret-2", filename="secret-too.txt", **told),
        ]
        outcomes = await service.create_documents(ADMIN, "docs", uploads)
        jobs = [await made.ended(one) for one in outcomes]  # type: ignore[arg-type]
        assert jobs == [JobState.SUCCEEDED, JobState.FAILED]
        await log.append([Event(DOCUMENTS_CHANGED, "t/c/d", b"no event")])
        await service.delete_document(ADMIN, "docs", "secret-1")
        records = await _records(place, at_least=4)
    assert DOCUMENTS_CHANGED + DEAD_SUFFIX in {topic for topic, _ in records}
    assert not [one for one in records if b"secret" in one[1].lower()]


async def _has_events(place: Place, count: int) -> bool:
    address = place.address
    topic, group = address.topic(DOCUMENTS_CHANGED), address.group("nobody", DOCUMENTS_CHANGED)
    return (await Lookout(address).lag_of(topic, group) or 0) >= count


async def _records(place: Place, at_least: int) -> list[tuple[str, bytes]]:
    """(topic, key with value and headers) of everything, once a dead letter is among it."""
    names = {place.address.topic(name): name for name in TOPICS}
    found: list[tuple[str, bytes]] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=list(place.address.servers), auto_offset_reset="earliest"
    )
    async with consumer:
        consumer.assign([TopicPartition(name, number) for name in names for number in range(2)])
        async with asyncio.timeout(SETTLE_SECONDS):
            while len(found) < at_least or not any(DEAD_SUFFIX in topic for topic, _ in found):
                record = await consumer.getone()
                headers = b"".join(name.encode() + value for name, value in record.headers)
                whole = (record.key or b"") + (record.value or b"") + headers
                found.append((names[record.topic], whole))
    return found
