"""While a revision changes, a search sees the whole of it, by vectors and by words."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ragmesh.core.errors import RevisionNotFoundError, UnavailableError
from ragmesh.core.index import AttributesWrite, DocumentWrite, IndexSpec
from ragmesh.core.pages import PageRequest
from ragmesh.retrieval.adapters.weaviate.index import WeaviateIndex
from ragmesh.retrieval.adapters.weaviate.link import weaviate_link
from ragmesh.retrieval.adapters.weaviate.schema import chunks_collection
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from ragmesh.retrieval.adapters.weaviate.shard import Shard
from ragmesh.testing.retrieval import document_write
from ragmesh.testing.retrieval_finding import created, find
from tests.servers.retrieval.stores import index_on
from tools.servers.server import Server

pytestmark = pytest.mark.servers

TEXTS = ("one cat", "two cat", "three cat", "four cat")
CHANGES = 50
SLOW_SECONDS = 2.0

Change = Callable[[WeaviateIndex, DocumentWrite], Awaitable[object]]


async def update_attributes(index: WeaviateIndex, write: DocumentWrite) -> None:
    await index.update_attributes(
        AttributesWrite(
            write.index_version_uid, write.document_uid, write.revision, write.attributes
        )
    )


async def write_anew(index: WeaviateIndex, write: DocumentWrite) -> None:
    await index.write(write)


@pytest.mark.parametrize("change", [update_attributes, write_anew])
async def test_no_search_of_any_replica_sees_a_part_of_what_changes(
    weaviate_server: Server, change: Change
) -> None:
    async with index_on(weaviate_server) as writing, index_on(weaviate_server) as reading:
        spec, publisher = await created(writing)
        write = document_write(spec, "a", *TEXTS)
        await writing.write(write)
        batch = publisher.publish("a")
        for replica in (writing, reading):
            await replica.apply_heads(batch)
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            looking = [
                tasks.create_task(counts(reading, spec, ended, keyword=keyword))
                for keyword in (False, True)
            ]
            for generation in range(2, CHANGES + 2):
                new = replace(write.attributes, title=f"t{generation}", generation=generation)
                await change(writing, replace(write, attributes=new))
            ended.set()
        for one in looking:
            assert set(one.result()) == {len(TEXTS)}, one.result()
            assert one.result().total() > CHANGES
        assert await held(weaviate_server, spec) == len(TEXTS)
        await writing.drop(spec.index_version_uid)


async def test_two_who_write_a_revision_at_once_leave_the_whole_of_it_and_no_more(
    weaviate_server: Server,
) -> None:
    async with index_on(weaviate_server) as one, index_on(weaviate_server) as other:
        spec, publisher = await created(one)
        write = document_write(spec, "a", *TEXTS)
        both = (one, other)
        told = await asyncio.gather(*(index.write(write) for index in both), return_exceptions=True)
        assert all(isinstance(each, UnavailableError) for each in told if is_error(each))
        for index in both:
            await index.write(write)
        await one.apply_heads(publisher.publish("a"))
        assert len(await find(one, spec)) == len(TEXTS)
        assert await held(weaviate_server, spec) == len(TEXTS)
        await one.drop(spec.index_version_uid)


async def test_what_is_deleted_while_it_changes_stays_deleted(weaviate_server: Server) -> None:
    async with (
        index_on(weaviate_server) as index,
        index_on(weaviate_server, flush_seconds=SLOW_SECONDS) as slow,
    ):
        spec, _ = await created(index)
        uid = spec.index_version_uid
        write = document_write(spec, "a", *TEXTS)
        await index.write(write)
        new = replace(write.attributes, title="new", generation=2)
        changing = asyncio.create_task(update_attributes(slow, replace(write, attributes=new)))
        async with asyncio.timeout(10):
            while await held(weaviate_server, spec) < 2 * len(TEXTS):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        assert await index.delete(uid, write.document_uid, below_revision=2) == len(TEXTS)
        with pytest.raises(UnavailableError):
            await changing
        assert (await index.list_digests(uid, PageRequest(10))).items == ()
        with pytest.raises(RevisionNotFoundError):
            await update_attributes(index, replace(write, attributes=new))
        await index.drop(uid)


def is_error(told: object) -> bool:
    return isinstance(told, BaseException)


async def counts(
    index: WeaviateIndex, spec: IndexSpec, ended: asyncio.Event, *, keyword: bool
) -> Counter[int]:
    """How many chunks searches found, one after the other, and how often."""
    seen: Counter[int] = Counter()
    while not ended.is_set():
        seen[len(await find(index, spec, keyword=keyword))] += 1
    return seen


async def held(server: Server, spec: IndexSpec) -> int:
    """How many objects of chunks there are, whether they are read or not."""
    async with weaviate_link(WeaviateServer.parse(server.url)) as link:
        return await Shard(link, chunks_collection(spec), spec.index_version_uid).count()
