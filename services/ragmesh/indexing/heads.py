"""The feed of heads: followers learn of every publication, and a publication waits for them.

A follower is sent what moved since its own sequence, read from the catalog, so that replay and
live are one path and nothing can be lost or reordered. Coming back for the next batch says that
the last one is applied; over gRPC the follower acknowledges it then (`server/heads.py`), so that
both are the same to a publication. It waits for followers of its own process only and no longer
than `wait_seconds`. That is longer than a search trusts heads that are not said to be the newest:
who is late answers as of a moment ago, but says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from ragmesh.core.answers import Invalidation
from ragmesh.core.callers import Machine
from ragmesh.core.errors import IndexVersionGoneError, RagmeshError
from ragmesh.core.index import HeadBatch
from ragmesh.indexing.ports import AnswerCache
from ragmesh.indexing.rows import Move
from ragmesh.indexing.sharing import Signal, Signals, Subject

_log = logging.getLogger(__name__)
_BATCH_HEADS = 1_000
_BEATS_UNTIL_READ = 10
"""A quiet follower is not worth a query a second; what this process commits wakes it anyway."""
_PUBLISHER = Machine("indexer")
"""Heads move in an indexer and in indexing, which both may speak in this name."""


class HeadSource(Protocol):
    """Where heads are read."""

    async def heads_after(
        self, index_version_uid: str, sequence: int, *, limit: int
    ) -> HeadBatch | None:
        """Heads that moved after the sequence, in its order; None = no such index version."""

    async def sequences_of(self, index_version_uids: Sequence[str]) -> dict[str, int]:
        """How far the collections of these index versions are, by version."""


class _Follower:
    """One stream of heads: how far its consumer is, and what wakes it."""

    def __init__(self, index_version_uid: str, sequence: int) -> None:
        self.index_version_uid = index_version_uid
        self.applied = sequence
        self.announced = sequence
        """The newest publication of this process."""
        self.woken = asyncio.Event()
        self.left = False
        self.is_late = False
        """It let a publication wait in vain; none waits for it again until it comes back."""
        self.progress = asyncio.Event()

    def advance(self, sequence: int) -> None:
        """The consumer came back: everything up to the sequence is applied."""
        self.applied = max(self.applied, sequence)
        self.is_late = False
        self._tell()

    def leave(self) -> None:
        """The consumer is gone; nobody waits for it any more."""
        self.left = True
        self._tell()

    def _tell(self) -> None:
        reached, self.progress = self.progress, asyncio.Event()
        reached.set()

    async def reached(self, sequence: int) -> None:
        """Return once the consumer has applied the sequence or is gone."""
        while not self.left and self.applied < sequence:
            await self.progress.wait()


class HeadFeed:
    """Hands moved heads to followers and answer cache, and holds reads back meanwhile."""

    def __init__(
        self,
        source: HeadSource,
        cache: AnswerCache,
        signals: Signals,
        *,
        heartbeat_seconds: float,
        wait_seconds: float,
    ) -> None:
        self._source = source
        self._cache = cache
        self._signals = signals
        signals.listen(Subject.HEADS, self._hear)
        self._heartbeat_seconds = heartbeat_seconds
        self._wait_seconds = wait_seconds
        self._followers: set[_Follower] = set()
        self._in_flight: set[asyncio.Event] = set()

    @asynccontextmanager
    async def publication(self) -> AsyncIterator[Callable[[Sequence[Move]], None]]:
        """Commit inside and hand over what moved; leaving waits until followers applied it.

        It counts as in flight from before the commit, so that no read can slip in between.
        """
        done = asyncio.Event()
        moves: list[Move] = []
        self._in_flight.add(done)
        try:
            yield moves.extend
            if moves:
                await self._announce(moves)
        except BaseException:
            # It may have been committed although its caller was cancelled.
            self.wake()
            raise
        finally:
            self._in_flight.discard(done)
            done.set()

    async def settled(self) -> None:
        """Return once every publication that is in flight now has been applied."""
        for done in tuple(self._in_flight):
            await done.wait()

    async def watch(
        self, index_version_uid: str, *, from_sequence: int
    ) -> AsyncGenerator[HeadBatch, None]:
        """Heads after the sequence, for ever; a batch without heads is a heartbeat."""
        follower = _Follower(index_version_uid, from_sequence)
        self._followers.add(follower)
        try:
            while True:
                follower.woken.clear()
                batch = await self._source.heads_after(
                    index_version_uid, follower.applied, limit=_BATCH_HEADS
                )
                if batch is None:
                    raise IndexVersionGoneError("the index version does not exist any more")
                if batch.sequence < follower.announced:  # read before something was published
                    batch = replace(batch, caught_up=False)
                yield batch
                follower.advance(batch.sequence)
                if not batch.caught_up:
                    continue
                for _ in range(_BEATS_UNTIL_READ):
                    if await self._woken(follower):
                        break
                    yield HeadBatch(index_version_uid, (), follower.applied, True)
        finally:
            self._followers.discard(follower)
            follower.leave()

    def wake(self) -> None:
        """Have every follower look again; for changes that move no head."""
        self._hear(Signal(Subject.HEADS))
        self._signals.tell(Signal(Subject.HEADS))

    async def compare(self) -> None:
        """Wake followers that are behind the catalog, every heartbeat until cancelled.

        For those who share it: one query for all of them finds what no signal told.
        """
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            followed = sorted({follower.index_version_uid for follower in self._followers})
            if not followed:
                continue
            try:
                reached = await self._source.sequences_of(followed)
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                continue
            for follower in self._followers:
                if reached.get(follower.index_version_uid, 0) > follower.applied:
                    follower.woken.set()

    def _hear(self, signal: Signal) -> None:
        """Another process published something, or something may have been missed."""
        for follower in self._followers:
            if signal.name in ("", follower.index_version_uid):
                follower.announced = max(follower.announced, signal.number)
                follower.woken.set()

    async def _woken(self, follower: _Follower) -> bool:
        """True when something moved, False when a heartbeat is due."""
        try:
            async with asyncio.timeout(self._heartbeat_seconds):
                await follower.woken.wait()
        except TimeoutError:
            return False
        return True

    async def _announce(self, moves: Sequence[Move]) -> None:
        reached: dict[str, int] = {}
        for move in moves:
            version = move.index_version_uid
            reached[version] = max(reached.get(version, 0), move.sequence)
        for version, sequence in reached.items():
            self._signals.tell(Signal(Subject.HEADS, version, sequence))
        following = [f for f in self._followers if f.index_version_uid in reached]
        for follower in following:
            follower.announced = max(follower.announced, reached[follower.index_version_uid])
            follower.woken.set()
        await self._invalidate(moves)
        waiting = [follower for follower in following if not follower.is_late]
        try:
            async with asyncio.timeout(self._wait_seconds):
                for follower in waiting:
                    await follower.reached(reached[follower.index_version_uid])
        except TimeoutError:
            # A follower that hangs must not hold up every upload; it reads on from where it was.
            for follower in waiting:
                follower.is_late = follower.applied < reached[follower.index_version_uid]

    async def _invalidate(self, moves: Sequence[Move]) -> None:
        found = {
            Invalidation(move.collection_uid, move.document_uid, move.sequence)
            for move in moves
            if not move.is_quiet
        }
        if not found:
            return
        try:
            await self._cache.invalidate(
                _PUBLISHER, sorted(found, key=lambda invalidation: invalidation.sequence)
            )
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            _log.warning(
                "the answer cache is away; the outbox brings the invalidation",
                extra={"reason": error.reason},
            )
