"""Follows the heads of every index version, and says how far a search may trust them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    HeadsStaleError,
    IndexVersionGoneError,
    Kind,
    RagmeshError,
    StoreDamagedError,
)
from ragmesh.core.index import HeadBatch
from ragmesh.retrieval.ports import HeadsSource, VectorIndex

STALE_HEADS = "STALE_HEADS"
"""Marks an answer that was read as of the last sequence heard of."""
_CALLER = Machine("retrieval")
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_QUIET_SECONDS = 2.0
"""Silence that is nothing to speak of: servers end streams by the age of their connection."""
_OF_OTHERS = frozenset({Kind.NOT_FOUND, Kind.INTERNAL})
"""Kinds of errors that another process may answer with, and answer otherwise a moment later."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a search waits for heads, and how long it trusts old ones."""

    first_heads_seconds: float = 5.0
    """Longest wait of a search for an index version whose heads have not all arrived yet."""
    stale_after_seconds: float = 5.0
    """Silence after which heads are no longer trusted."""


@dataclass(slots=True)
class _Following:
    """How far one index version has been followed."""

    heard_at: float
    """When what is applied was last said to be the newest."""
    sequence: int = 0
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)


class HeadsFollower:
    """Applies heads to the index as they come, one stream an index version."""

    def __init__(self, index: VectorIndex, clock: Clock, patience: Patience) -> None:
        self._index = index
        self._clock = clock
        self._patience = patience
        self._followed: dict[str, _Following] = {}
        self._changed = asyncio.Event()

    def begin(self, index_version_uid: str) -> None:
        """Follow the index version from its beginning, unless it is followed already."""
        if index_version_uid not in self._followed:
            self._followed[index_version_uid] = _Following(self._clock.monotonic())
            self._changed.set()

    def end(self, index_version_uid: str) -> None:
        """Follow the index version no longer."""
        following = self._followed.pop(index_version_uid, None)
        if following is not None:
            following.caught_up.set()  # who waits for its heads learns from the store what is amiss
            self._changed.set()

    async def run(self, heads: HeadsSource) -> None:
        """Follow whatever begins, until cancelled."""
        for uid in await self._kept_indexes():
            self.begin(uid)
        running: dict[str, tuple[_Following, asyncio.Task[None]]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for uid, (following, task) in list(running.items()):
                    if self._followed.get(uid) is not following:
                        task.cancel()
                        del running[uid]
                for uid, following in self._followed.items():
                    if uid not in running:
                        task = group.create_task(self._follow(heads, uid, following))
                        running[uid] = (following, task)
                await self._changed.wait()

    async def trust(self, index_version_uid: str, *, restricted: bool) -> tuple[str, ...]:
        """What a search now must be marked with; HeadsStaleError when it must not be made.

        Without all heads nothing can be said; with old ones, only what everybody may see.
        """
        self.begin(index_version_uid)
        following = self._followed[index_version_uid]
        await self._wait_for_first_heads(following)
        silence = self._clock.monotonic() - following.heard_at
        if silence <= self._patience.stale_after_seconds:
            return ()
        if restricted:
            raise _stale("nothing was heard of published revisions for too long")
        return (STALE_HEADS,)

    async def _wait_for_first_heads(self, following: _Following) -> None:
        if following.caught_up.is_set():
            return
        try:
            async with asyncio.timeout(self._patience.first_heads_seconds):
                await following.caught_up.wait()
        except TimeoutError:
            raise _stale("the published revisions are still being read") from None

    async def _follow(self, heads: HeadsSource, uid: str, following: _Following) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                stream = heads.watch_heads(_CALLER, uid, from_sequence=following.sequence)
                # Closed here: a stream that is left to the garbage collector keeps its call.
                async with aclosing(cast("AsyncGenerator[HeadBatch, None]", stream)):
                    async for batch in stream:
                        if not await self._apply(batch, following):
                            self.end(uid)
                            return
                        pause = _FIRST_PAUSE_SECONDS
            except IndexVersionGoneError:
                # The store or the catalog has dropped it, or the catalog is yet to commit it.
                if not await self._is_kept(uid):
                    self.end(uid)
                    return
            except RagmeshError as error:
                # A defect of another process must not end this one: it serves on, and says STALE
                # once it has heard nothing for too long.
                if not (error.kind.transient or error.kind in _OF_OTHERS):
                    raise
                self._tell(error, following)
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _tell(self, error: RagmeshError, following: _Following) -> None:
        """Tell that heads are not to be had; a stream that ended by age is asked for again."""
        silence = self._clock.monotonic() - following.heard_at
        is_long = silence > _QUIET_SECONDS
        level = logging.WARNING if is_long or not error.kind.transient else logging.DEBUG
        _log.log(level, "heads are not to be had", extra={"reason": error.reason})

    async def _apply(self, batch: HeadBatch, following: _Following) -> bool:
        """Hand the heads over; False when the index version is damaged and will take none."""
        heard_at = self._clock.monotonic()  # before what may take long, and grow old meanwhile
        if batch.heads or batch.sequence > following.sequence:
            try:
                await self._index.apply_heads(batch)
            except StoreDamagedError:
                # It alone: whoever searches it is told. The others are followed on, and so is
                # this one when it is made anew.
                return False
        following.sequence = max(following.sequence, batch.sequence)
        if batch.caught_up:
            following.heard_at = heard_at
            following.caught_up.set()
        return True

    async def _kept_indexes(self) -> tuple[str, ...]:
        """What the store keeps, as soon as it is there to say so."""
        pause, level = _FIRST_PAUSE_SECONDS, logging.WARNING
        while True:
            try:
                return await self._index.list_indexes()
            except RagmeshError as error:
                if not error.kind.transient:
                    raise
                _log.log(level, "the index is not to be had", extra={"reason": error.reason})
                level = logging.DEBUG
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _is_kept(self, uid: str) -> bool:
        try:
            await self._index.get_spec(uid)
        except (IndexVersionGoneError, StoreDamagedError):
            return False
        except RagmeshError as error:
            if not error.kind.transient:
                raise
        return True  # known, or not to be known at the moment


def _stale(message: str) -> HeadsStaleError:
    return HeadsStaleError(message, retry_after_seconds=1.0)
