"""What becomes of an index when Weaviate is killed, frozen, full, or asked by several at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

import pytest

from ragmesh.core.errors import IndexVersionGoneError, StorageFullError, StoreUnavailableError
from ragmesh.core.index import AttributesWrite, DocumentDigest, DocumentWrite, IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.adapters.weaviate.index import WeaviateIndex
from ragmesh.retrieval.adapters.weaviate.link import weaviate_link
from ragmesh.retrieval.adapters.weaviate.schema import chunks_collection
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.adapters.weaviate.shard import Shard
from ragmesh.retrieval.ports import RankRequest
from ragmesh.retrieval.wording import Wording
from ragmesh.testing.retrieval import document_write, uid_of
from ragmesh.testing.retrieval_finding import INDEXER, created, find, found, publish
from tests.servers.retrieval.stores import index_on
from tools.servers.server import Server

pytestmark = pytest.mark.servers
DOCUMENTS, CHUNKS, AT_ONCE = 80, 12, 8
FLUSH_SECONDS = 2.0
"""As it is set for the server."""
BACK_SECONDS = 2.5
"""How soon after its return a server is worked with again."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def test_a_retry_repairs_what_a_kill_left_of_a_write(weaviate_server: Server) -> None:
    # What is acknowledged before the store has flushed it can be gone from its vector index.
    async with index_on(weaviate_server, flush_seconds=FLUSH_SECONDS) as index:
        spec, publisher = await created(index)
        writes = [document_write(spec, f"d{n:03}", *texts(n)) for n in range(DOCUMENTS)]
        kept = await written_until_killed(index, writes, weaviate_server)
        weaviate_server.start()
        held = await recovered(digests, index, spec)
        assert kept <= {one.document_uid for one in held}
        await asyncio.gather(*(index.write(one) for one in writes if one.document_uid not in kept))
        for one in writes:
            await index.apply_heads(publisher.publish(one.attributes.document_id))
        for one in writes:
            for ordinal, chunk in enumerate(one.chunks):
                place = (one.attributes.document_id, ordinal)
                assert place in await nearest(index, spec, chunk.vector)
        await index.drop(spec.index_version_uid)


async def written_until_killed(
    index: WeaviateIndex, writes: list[DocumentWrite], server: Server
) -> set[str]:
    """The documents whose writes were acknowledged before the server was killed."""
    kept: set[str] = set()
    enough, room = asyncio.Event(), asyncio.Semaphore(AT_ONCE)

    async def write(one: DocumentWrite) -> None:
        async with room:
            await index.write(one)
        kept.add(one.document_uid)
        if len(kept) == len(writes) // 8:
            enough.set()

    tasks = [asyncio.create_task(write(one)) for one in writes]
    await asyncio.wait_for(enough.wait(), 30)
    server.kill()
    failures = [one for one in await asyncio.gather(*tasks, return_exceptions=True) if one]
    assert failures, "the kill came after the last write"
    assert {type(one) for one in failures} == {StoreUnavailableError}
    return kept


async def test_what_was_kept_last_is_found_after_a_kill(weaviate_server: Server) -> None:
    # Weaviate answers a batch before its vectors are in a file: the next one in the tenant sees to
    # it, and there may never be one.
    async with index_on(weaviate_server) as index:
        one, publisher = await created(index)
        written = document_write(one, "a", *texts(0))
        await publish(index, written, publisher)
        other, publisher = await created(index)
        changed = document_write(other, "a", *texts(0))
        await publish(index, changed, publisher)
        await index.update_attributes(retitled(changed))
        weaviate_server.kill()
        weaviate_server.start()
        for spec in (one, other):
            assert len(await recovered(find, index, spec)) == CHUNKS
            await index.drop(spec.index_version_uid)


def retitled(write: DocumentWrite) -> AttributesWrite:
    """A change of attributes of what was written."""
    given = replace(write.attributes, generation=2, title="Another")
    return AttributesWrite(write.index_version_uid, write.document_uid, write.revision, given)


async def test_a_frozen_server_costs_no_more_than_the_time_that_is_set(
    weaviate_server: Server,
) -> None:
    async with index_on(weaviate_server, timeout_seconds=0.5) as index:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        assert await found(index, spec) == {("a", 1)}
        weaviate_server.freeze()
        try:
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                await find(index, spec)
            assert time.monotonic() - began < 2.0
            await index.apply_heads(publisher.publish("a"))  # heads need no store
        finally:
            weaviate_server.thaw()
        assert await recovered(found, index, spec) == {("a", 1)}
        await index.drop(spec.index_version_uid)


async def test_a_store_that_takes_no_writes_is_read_and_says_that_it_is_full(
    weaviate_server: Server,
) -> None:
    server = WeaviateServer.parse(weaviate_server.url)
    async with index_on(weaviate_server) as index, weaviate_link(server) as link:
        spec, publisher = await created(index)
        await publish(index, document_write(spec, "a", "the cat sat"), publisher)
        shard = f"schema/{chunks_collection(spec)}/shards/{spec.index_version_uid}"
        await link.require("PUT", shard, {"status": "READONLY"})
        with pytest.raises(StorageFullError):
            await index.write(document_write(spec, "b", "a cat ran"))
        assert await found(index, spec) == {("a", 1)}
        await link.require("PUT", shard, {"status": "READY"})
        await publish(index, document_write(spec, "b", "a cat ran"), publisher)
        assert await found(index, spec) == {("a", 1), ("b", 1)}
        await index.drop(spec.index_version_uid)


async def test_replicas_see_what_another_made_wrote_and_dropped(weaviate_server: Server) -> None:
    async with index_on(weaviate_server) as one, index_on(weaviate_server) as other:
        spec, publisher = await created(one)
        batch = publisher.publish("a")
        await other.apply_heads(batch)
        assert await found(other, spec) == set()
        await one.write(document_write(spec, "a", "the cat sat"))
        await until(lambda: names(other, spec), ["a"])
        await one.drop(spec.index_version_uid)
        with pytest.raises(IndexVersionGoneError):
            await find(other, spec)
        with pytest.raises(IndexVersionGoneError):
            await other.write(document_write(spec, "a", "the cat sat"))


async def test_revisions_that_are_not_published_hide_none_that_are(
    weaviate_server: Server,
) -> None:
    wanted = 150
    async with index_on(weaviate_server) as index:
        spec, publisher = await created(index)
        for revision in (1, 2, 3):
            await asyncio.gather(
                *(
                    index.write(document_write(spec, f"d{n:03}", "one cat", revision=revision))
                    for n in range(wanted)
                )
            )
        for n in range(wanted):
            await index.apply_heads(publisher.publish(f"d{n:03}", revision=2))
        request = RankRequest(INDEXER, Wording("cat"), None, True, None, wanted)
        async with index.read(spec.index_version_uid) as view:
            ranked = await view.rank(request)
        names = {one.document_id for one in ranked.candidates.values()}
        assert len(names) == wanted
        await index.drop(spec.index_version_uid)


async def test_chunks_of_writes_that_never_ended_are_deleted_with_the_others(
    weaviate_server: Server,
) -> None:
    async with index_on(weaviate_server) as index:
        spec, _ = await created(index)
        uid = spec.index_version_uid
        await index.write(document_write(spec, "a", "one", "two"))
        await index.write(document_write(spec, "a", "three", revision=2))
        interrupted = asyncio.create_task(slow_write(weaviate_server, spec))
        await until_held(weaviate_server, spec, 6)
        interrupted.cancel()
        assert await index.delete(uid, uid_of("a"), below_revision=4) == 6
        assert await index.delete(uid, uid_of("a"), below_revision=4) == 0


async def slow_write(server: Server, spec: IndexSpec) -> None:
    """A write that waits for the server's disk when it is given up."""
    async with index_on(server, flush_seconds=60.0) as index:
        await index.write(document_write(spec, "a", "x", "y", "z", revision=3))


async def until_held(server: Server, spec: IndexSpec, chunks: int) -> None:
    """Return once there are so many chunks."""
    async with weaviate_link(WeaviateServer.parse(server.url)) as link:
        shard = Shard(link, chunks_collection(spec), spec.index_version_uid)
        await until(shard.count, chunks)


async def until(look: Callable[[], Awaitable[Result]], wanted: Result) -> None:
    """Return once a look finds what is wanted."""
    async with asyncio.timeout(BACK_SECONDS):
        while await look() != wanted:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


async def recovered(
    call: Callable[Arguments, Awaitable[Result]], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """The result of a call, made again while the server is coming back."""
    async with asyncio.timeout(BACK_SECONDS):
        while True:
            try:
                return await call(*args, **kwargs)
            except StoreUnavailableError:
                await asyncio.sleep(0.05)


async def names(index: WeaviateIndex, spec: IndexSpec) -> list[str]:
    return [chunk.document_id for chunk in await find(index, spec)]


async def digests(index: WeaviateIndex, spec: IndexSpec) -> tuple[DocumentDigest, ...]:
    return (await index.list_digests(spec.index_version_uid, PageRequest(1_000))).items


async def nearest(index: WeaviateIndex, spec: IndexSpec, vector: Vector) -> set[tuple[str, int]]:
    """(document, ordinal) of the chunks that are most like a vector, with no filter at all."""
    request = RankRequest(INDEXER, Wording(""), vector, False, None, 5)
    async with index.read(spec.index_version_uid) as view:
        candidates = (await view.rank(request)).candidates.values()
    return {(one.document_id, one.ordinal) for one in candidates}


def texts(number: int) -> list[str]:
    """Chunks of which no two are alike."""
    return [f"cat number{number} part{part} of many" for part in range(CHUNKS)]


async def test_by_their_words_chunks_are_found_while_their_attributes_are_changed(
    weaviate_server: Server,
) -> None:
    # What is replaced under its number is lost to searches by words that filter, as all here do.
    async with index_on(weaviate_server, flush_seconds=FLUSH_SECONDS) as index:
        spec, publisher = await created(index)
        written = document_write(spec, "a", *(f"cat number{part}" for part in range(4)))
        await publish(index, written, publisher)
        async with asyncio.TaskGroup() as tasks:
            changing = tasks.create_task(index.update_attributes(retitled(written)))
            while not changing.done():
                assert len(await find(index, spec, keyword=True)) == 4
                await asyncio.sleep(0.1)
        assert len(await find(index, spec, keyword=True)) == 4
        await index.drop(spec.index_version_uid)
