"""The promises of whoever tells heads: indexing, its client, and the fake of retrieval's tests.

Subclass, and give the fixture `bench`: a source of the heads of one index version that has none,
with a publication's wait for its followers set to no less than 10 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest

from ragmesh.core.callers import DEFAULT_TENANT_UID, Caller, Machine, Principal
from ragmesh.core.errors import DeniedError, IndexVersionGoneError
from ragmesh.core.index import HeadBatch
from ragmesh.retrieval.ports import HeadsSource

RETRIEVAL = Machine("retrieval")
_A_WHILE = 0.2
"""Seconds in which something that must not happen would have happened."""


@dataclass(frozen=True)
class HeadsBench:
    """A source of heads and whoever publishes in it."""

    source: HeadsSource
    index_version_uid: str
    publish: Callable[[str], Awaitable[object]]
    """Publishes a new document of this id; returns when every follower has applied it."""
    beat: Callable[[], Awaitable[object]]
    """Returns when the next heartbeat is due, or was sent."""

    @asynccontextmanager
    async def watching(
        self, *, from_sequence: int = 0, caller: Caller = RETRIEVAL, uid: str = ""
    ) -> AsyncIterator[AsyncGenerator[HeadBatch, None]]:
        """A stream of heads, closed at the end."""
        stream = self.source.watch_heads(
            caller, uid or self.index_version_uid, from_sequence=from_sequence
        )
        async with aclosing(cast("AsyncGenerator[HeadBatch, None]", stream)) as closing:
            yield closing


async def caught_up(stream: AsyncGenerator[HeadBatch, None]) -> list[HeadBatch]:
    """Every batch up to the one that says that nothing more waited."""
    batches = [await anext(stream)]
    while not batches[-1].caught_up:
        batches.append(await anext(stream))
    return batches


async def moved(stream: AsyncGenerator[HeadBatch, None]) -> HeadBatch:
    """The next batch with heads in it."""
    while True:
        batch = await anext(stream)
        if batch.heads:
            return batch


class HeadsContract:
    """Nothing is lost, repeated or out of order, and what is applied is waited for."""

    async def test_a_follower_is_told_everything_and_that_it_was_everything(
        self, bench: HeadsBench
    ) -> None:
        for document_id in ("a", "b", "c"):
            await bench.publish(document_id)
        async with bench.watching() as stream:
            batches = await caught_up(stream)
            while sum(len(batch.heads) for batch in batches) < 3:
                batches += await caught_up(stream)
        heads = [head for batch in batches for head in batch.heads]
        assert [head.sequence for head in heads] == [1, 2, 3]
        assert len({head.document_uid for head in heads}) == 3
        assert all((head.revision, head.deleted) == (1, False) for head in heads)
        assert {batch.index_version_uid for batch in batches} == {bench.index_version_uid}
        assert batches[-1].sequence == 3

    async def test_a_follower_goes_on_from_where_it_was(self, bench: HeadsBench) -> None:
        for document_id in ("a", "b"):
            await bench.publish(document_id)
        async with bench.watching(from_sequence=1) as stream:
            assert [head.sequence for head in (await moved(stream)).heads] == [2]

    async def test_silence_is_told_from_absence_by_a_heartbeat(self, bench: HeadsBench) -> None:
        async with bench.watching() as stream:
            await caught_up(stream)
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(_done(bench.beat()))
                beat = await anext(stream)
                following = group.create_task(_next(stream))
                await beating
                following.cancel()
        assert (beat.heads, beat.sequence, beat.caught_up) == ((), 0, True)

    async def test_a_publication_returns_once_its_follower_has_applied_it(
        self, bench: HeadsBench
    ) -> None:
        async with bench.watching() as stream, asyncio.TaskGroup() as group:
            await caught_up(stream)
            published = group.create_task(_done(bench.publish("a")))
            batch = await moved(stream)
            assert [head.sequence for head in batch.heads] == [1]
            await asyncio.wait({published}, timeout=_A_WHILE)
            assert not published.done()  # it was sent, and nobody has said that it is applied
            following = group.create_task(_next(stream))
            async with asyncio.timeout(5):
                await published
            following.cancel()


class CatalogHeadsContract(HeadsContract):
    """What only a catalog can keep: followers that go, and whoever may not follow."""

    async def test_a_follower_that_has_gone_is_not_waited_for(self, bench: HeadsBench) -> None:
        async with bench.watching() as stream:
            await caught_up(stream)
        async with asyncio.timeout(5):
            await bench.publish("a")

    async def test_a_follower_that_goes_in_between_releases_the_publication(
        self, bench: HeadsBench
    ) -> None:
        async with asyncio.TaskGroup() as group:
            async with bench.watching() as stream:
                await caught_up(stream)
                published = group.create_task(_done(bench.publish("a")))
                await moved(stream)
            async with asyncio.timeout(5):
                await published

    async def test_an_index_version_that_never_was_is_gone(self, bench: HeadsBench) -> None:
        async with bench.watching(uid="01900000-0000-7000-8000-00000000dead") as stream:
            with pytest.raises(IndexVersionGoneError):
                await anext(stream)

    async def test_users_follow_no_heads(self, bench: HeadsBench) -> None:
        user = Principal(DEFAULT_TENANT_UID, "ada", frozenset(), frozenset({"admin"}))
        with pytest.raises(DeniedError):
            async with bench.watching(caller=user) as stream:
                await anext(stream)


async def _done(call: Awaitable[object]) -> None:
    await call


async def _next(stream: AsyncGenerator[HeadBatch, None]) -> None:
    await anext(stream)
