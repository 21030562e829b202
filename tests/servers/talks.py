"""How each server is told something and asked for it, in its own protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid5

import asyncpg
import weaviate
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from obstore.store import S3Store
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from redis.asyncio import Redis
from weaviate.classes.config import Configure, DataType, Property

from tools.processes import await_condition
from tools.servers.server import Server
from tools.servers.table import PASSWORD

if TYPE_CHECKING:
    from obstore.store import S3Config  # there for type checkers only

_NAMESPACE = UUID(int=0)
_TOPIC = "words"
_COLLECTION = "Words"


@dataclass(frozen=True, slots=True)
class Talk:
    """Tell a word, and ask whether it was kept."""

    tell: Callable[[Server, str], Awaitable[None]]
    ask: Callable[[Server, str], Awaitable[bool]]


async def _tell_redis(server: Server, word: str) -> None:
    async with Redis.from_url(server.url) as client:
        await client.set(word, "kept")


async def _ask_redis(server: Server, word: str) -> bool:
    async with Redis.from_url(server.url) as client:
        return await client.get(word) == b"kept"


@asynccontextmanager
async def _postgres(server: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url.replace("+asyncpg", ""), password=PASSWORD)
    try:
        yield connection
    finally:
        await connection.close()


async def _tell_postgres(server: Server, word: str) -> None:
    async with _postgres(server) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        await connection.execute("INSERT INTO words VALUES ($1)", word)


async def _ask_postgres(server: Server, word: str) -> bool:
    async with _postgres(server) as connection:
        found = await connection.fetchval("SELECT count(*) FROM words WHERE word = $1", word)
        return bool(found == 1)


def _broker(server: Server) -> str:
    return server.url.removeprefix("kafka://")


async def _tell_kafka(server: Server, word: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=_broker(server))
    await admin.start()
    try:
        if _TOPIC not in await admin.list_topics():
            await admin.create_topics([NewTopic(_TOPIC, 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=_broker(server), acks="all") as producer:
        await producer.send_and_wait(_TOPIC, word.encode())


async def _ask_kafka(server: Server, word: str) -> bool:
    async with AIOKafkaConsumer(bootstrap_servers=_broker(server)) as consumer:
        partition = TopicPartition(_TOPIC, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            if (await consumer.getone()).value == word.encode():
                return True
        return False


@asynccontextmanager
async def _weaviate(server: Server) -> AsyncIterator[weaviate.WeaviateAsyncClient]:
    async with weaviate.use_async_with_local(host=server.host) as client:
        yield client


async def _tell_weaviate(server: Server, word: str) -> None:
    async with _weaviate(server) as client:
        if not await client.collections.exists(_COLLECTION):
            await client.collections.create(
                _COLLECTION,
                properties=[Property(name="word", data_type=DataType.TEXT)],
                vector_config=Configure.Vectors.self_provided(),
            )
        words = client.collections.get(_COLLECTION)
        await words.data.insert({"word": word}, uuid=uuid5(_NAMESPACE, word), vector=[1.0, 0.0])


async def _ask_weaviate(server: Server, word: str) -> bool:
    async with _weaviate(server) as client:
        words = client.collections.get(_COLLECTION)
        found = await words.query.near_vector([1.0, 0.0], limit=100)
        return uuid5(_NAMESPACE, word) in {one.uuid for one in found.objects}


def _bucket(server: Server) -> S3Store:
    config = {name.lower(): word for name, word in server.environ.items()}
    return S3Store("ragmesh", config=cast("S3Config", config))


async def _tell_s3(server: Server, word: str) -> None:
    await _bucket(server).put_async(word, b"kept", mode="create")


async def _ask_s3(server: Server, word: str) -> bool:
    kept = await _bucket(server).get_async(word)
    return bytes(await kept.bytes_async()) == b"kept"


async def _tell_collector(server: Server, word: str) -> None:
    def export() -> None:
        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=server.url, insecure=True)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("talk").start_as_current_span(word):
            pass
        provider.shutdown()

    await asyncio.to_thread(export)


async def _ask_collector(server: Server, word: str) -> bool:
    told = server.folder / "traces.jsonl"
    return await asyncio.to_thread(await_condition, lambda: f'"{word}"' in told.read_text())


TALKS: Mapping[str, Talk] = {
    "redis": Talk(_tell_redis, _ask_redis),
    "postgres": Talk(_tell_postgres, _ask_postgres),
    "kafka": Talk(_tell_kafka, _ask_kafka),
    "weaviate": Talk(_tell_weaviate, _ask_weaviate),
    "s3": Talk(_tell_s3, _ask_s3),
    "collector": Talk(_tell_collector, _ask_collector),
}
