"""Carries migrations out: observes, plans, does a step, and looks again.

It keeps nothing that it could not lose: where a migration stands is in the catalog, and each of
its steps is one transaction there or can be repeated. What asks an index takes as long as that
does, so it is done beside the looks: a rollback of one collection waits for no gate of another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from ragmesh.chassis.events.waiting import first_of
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.feeding import Pace
from ragmesh.indexing.gate import Gate
from ragmesh.indexing.migration import plan
from ragmesh.indexing.migration_changes import after
from ragmesh.indexing.migration_state import NO_LEASE, Change, MigrationState, Observed, Standing
from ragmesh.indexing.migration_steps import CreateIndex, Evaluate, Feed, Step, Verify
from ragmesh.indexing.migration_stores import Changing, WeighedVersion
from ragmesh.indexing.ports import IndexRegistry
from ragmesh.indexing.records import IndexState
from ragmesh.indexing.route_feed import RouteFeed
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.stages import INDEXER
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.verifying import Verifier
from ragmesh.indexing.waits import Waits

_log = logging.getLogger(__name__)
_MOST_STEPS = 50
"""Of one migration in a row; then others have their turn."""
_PAGE = 200
_AT_ONCE: Mapping[type[Step], int] = MappingProxyType({Verify: 4, Evaluate: 1})
"""Steps that read a whole index or ask it much, and how many of all migrations are under way."""


@dataclass(frozen=True, slots=True)
class MigrationLimits:
    """How fast candidates are filled, and how often migrations are looked at."""

    documents_per_second: float = 50.0
    """Of all candidates together."""
    window_documents: int = 64
    """Most documents of one version that are under way."""
    pause_seconds: float = 0.5
    lease_seconds: float = 600.0
    """How long a router may send questions by a route that it cannot renew."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A step that takes long, and who does it."""

    step: Step
    task: asyncio.Task[None]


@dataclass(slots=True)
class Migrator:
    """Runs in one process, beside relay and reconciler."""

    _catalog: Catalog
    _index: IndexRegistry
    _verifier: Verifier
    _gate: Gate
    _announcer: RouteAnnouncer
    _clock: Clock
    _limits: MigrationLimits
    waits: Waits = field(default_factory=Waits, init=False)
    _fed: dict[str, str] = field(default_factory=dict, init=False)
    """By uid of version: the document after which to go on."""
    _pace: Pace = field(init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _measuring: dict[str, _UnderWay] = field(default_factory=dict, init=False)
    """By uid of collection."""
    _room: Mapping[type[Step], asyncio.Semaphore] = field(init=False)

    def __post_init__(self) -> None:
        limits = self._limits
        self._pace = Pace(limits.documents_per_second, limits.window_documents)
        self._room = {step: asyncio.Semaphore(most) for step, most in _AT_ONCE.items()}

    def wake(self) -> None:
        """Look at once: somebody wants something."""
        self._woken.set()

    async def run(self) -> None:
        """Look after every pause, until cancelled."""
        try:
            async with asyncio.TaskGroup() as measuring:
                while True:
                    self._woken.clear()
                    began = self._clock.monotonic()
                    await self._look(measuring)
                    spent = self._clock.monotonic() - began
                    pause = max(self._limits.pause_seconds, 2 * spent)
                    await first_of(self._wait(), self._clock.sleep(pause))
        finally:
            self.waits.clear()  # another process looks from now on

    async def look(self) -> None:
        """Carry out what can be done now of every migration, and what comes of that."""
        self._woken.set()
        while self._woken.is_set():
            self._woken.clear()
            async with asyncio.TaskGroup() as measuring:
                await self._look(measuring)

    async def _look(self, measuring: asyncio.TaskGroup) -> None:
        """Carry out what can be done at once, and begin what takes longer."""
        self._pace.begin_look()
        after_uid = ""
        while True:
            uids = await self._unsettled(after_uid)
            await self._advance_each(uids, measuring)
            if len(uids) < _PAGE:
                break
            after_uid = uids[-1]
        # A collection that was deleted is not listed any more, but may be asked questions still.
        await self._advance_each(tuple(self._measuring), measuring)
        self.waits.show()

    async def _advance_each(self, uids: Iterable[str], measuring: asyncio.TaskGroup) -> None:
        for uid in uids:
            await self._try(self._advance(uid, measuring), uid)

    async def _advance(self, collection_uid: str, measuring: asyncio.TaskGroup) -> bool:
        """Do the steps of one migration until there is nothing to do but wait."""
        for done in range(_MOST_STEPS):
            if not await self._advance_once(collection_uid, measuring):
                return done > 0
        return True

    async def observe(self, changing: Changing) -> Observed:
        """The migration as a plan needs it."""
        now = self._clock.now()
        progress = await self._catalog.follower_progress(changing.collection_uid)
        return Observed(
            state=changing.state,
            versions=tuple(_standing(one, now) for one in changing.versions),
            now=now,
            progress=progress,
            is_refused=changing.is_refused,
            lease_seconds=self._limits.lease_seconds,
        )

    async def _unsettled(self, after_uid: str) -> tuple[str, ...]:
        try:
            return await self._catalog.list_unsettled(after_uid=after_uid, limit=_PAGE)
        except RagmeshError as error:
            if not error.kind.transient:
                raise
            _log.warning("migrations cannot be read", extra={"reason": error.reason})
            self.waits.miss()
            return ()

    async def _read(self, collection_uid: str) -> Changing | None:
        try:
            changing = await self._catalog.find_changing(collection_uid)
        except RagmeshError:
            self.waits.miss()
            raise
        if changing is not None:
            self.waits.note(changing.state)
        return changing

    async def _try(self, going_on: Awaitable[bool], uid: str) -> bool:
        """Whether something has changed; what is in the way is told."""
        try:
            return await going_on
        except RagmeshError as error:
            # One index that is away must not keep the others from being changed.
            _log.warning(
                "a migration does not go on",
                extra={"collection": uid, "reason": error.reason},
            )
            return False

    async def _advance_once(self, collection_uid: str, measuring: asyncio.TaskGroup) -> bool:
        """Whether something has changed, so that it is worth looking again."""
        changing = await self._read(collection_uid)
        if changing is None:
            self._leave_off(collection_uid, ())
            return False
        observed = await self.observe(changing)
        steps = plan(observed)
        if not steps and observed.state.phase.rests and len(observed.versions) == 1:
            await self._catalog.settle_migration(observed.state)
        self._leave_off(collection_uid, steps)
        for step in steps:
            if isinstance(step, Feed):
                await self._feed(step.uid)
            elif type(step) in _AT_ONCE:
                self._begin(step, changing, observed, measuring)
            else:
                return await self._carry_out(step, changing, observed)
        return False

    def _leave_off(self, collection_uid: str, steps: Iterable[Step]) -> None:
        """What nobody plans any more would come to nothing: the state is another one."""
        under_way = self._measuring.get(collection_uid)
        if under_way is not None and under_way.step not in steps:
            under_way.task.cancel()
            del self._measuring[collection_uid]

    def _begin(
        self, step: Step, changing: Changing, observed: Observed, measuring: asyncio.TaskGroup
    ) -> None:
        """Carry the step out beside the looks, unless somebody is at it."""
        uid = changing.collection_uid
        if uid not in self._measuring:
            task = measuring.create_task(self._measure(step, changing, observed))
            self._measuring[uid] = _UnderWay(step, task)

    async def _measure(self, step: Step, changing: Changing, observed: Observed) -> None:
        uid = changing.collection_uid
        async with self._room[type(step)]:
            is_done = await self._try(self._carry_out(step, changing, observed), uid)
        del self._measuring[uid]  # of this very task: whoever takes its place cancels it
        if is_done:
            self.wake()

    async def _carry_out(self, step: Step, changing: Changing, observed: Observed) -> bool:
        if isinstance(step, CreateIndex):
            version = changing.version(step.uid)
            await self._index.create_index(INDEXER, version.spec)
            await self._catalog.mark_serving(version.uid)
            return True
        if isinstance(step, Verify | Evaluate):
            return await self._find_out(step, changing)
        change = after(step, observed)
        if not await self._catalog.commit_change(change):
            return False
        self._fed.pop(change.dropped, None)
        self._pace.forget(change.dropped)
        self._tell(step, changing, change)
        return True

    async def _find_out(self, step: Verify | Evaluate, changing: Changing) -> bool:
        """Keep what takes long to be found out, whatever else became of the state meanwhile."""
        found = await self._finding(step, changing)
        now: Changing | None = changing
        while now is not None and await self._is_sought(step, changing, now):
            change = Change(found(now.state))
            if await self._catalog.commit_change(change):
                self._tell(step, now, change)
                return True
            now = await self._catalog.find_changing(changing.collection_uid)
        return False

    async def _is_sought(self, step: Step, began: Changing, now: Changing) -> bool:
        """Whether the step is to be done as it was when it began: the same phase, and rules."""
        then, state = began.state, now.state
        is_same = (then.phase, then.phase_at, then.policy) == (
            state.phase,
            state.phase_at,
            state.policy,
        )
        return is_same and step in plan(await self.observe(now))

    async def _finding(
        self, step: Verify | Evaluate, changing: Changing
    ) -> Callable[[MigrationState], MigrationState]:
        """What the step finds, as something that any later state is given."""
        version = changing.version(step.uid)
        if isinstance(step, Verify):
            found = await self._verifier.verify(version)
            return lambda state: replace(state, checked=found.reason, message=found.message)
        judged = await self._gate.judge(changing.primary, version, changing.state.policy)
        return lambda state: replace(
            state,
            verdict=judged.verdict,
            verdicts=judged.verdicts,
            slice_verdicts=judged.slice_verdicts,
            reason=judged.reason,
            message=judged.message,
        )

    def tell(self, changing: Changing, change: Change) -> None:
        """Somebody else has changed a migration: routers hear of it, and it goes on at once."""
        if change.weights:
            self._announcer.changed(changing)
        self.wake()

    def _tell(self, step: Step, changing: Changing, change: Change) -> None:
        _log.info(
            "a migration went on",
            extra={
                "collection": changing.collection_uid,
                "step": type(step).__name__,
                "phase": change.state.phase.value,
                "reason": change.state.reason,
            },
        )
        if change.weights:
            self._announcer.changed(changing)

    async def _feed(self, uid: str) -> None:
        """Hand out as much as the rate allows since the last time."""
        limit = self._pace.may_get(uid, self._clock.monotonic())
        if not limit:
            return
        handed, self._fed[uid] = await self._catalog.feed_follower(
            uid,
            after=self._fed.get(uid, ""),
            limit=limit,
            window=self._limits.window_documents,
        )
        self._pace.got(uid, handed)

    async def _wait(self) -> None:
        await self._woken.wait()


@dataclass(frozen=True, slots=True)
class RouteAnnouncer:
    """Has everybody forget a route that is not the newest any more."""

    table: CollectionTable
    feed: RouteFeed

    def changed(self, changing: Changing) -> None:
        """The questions of the collection are shared otherwise now."""
        self.table.forget(changing.tenant_uid, changing.collection)
        self.feed.wake()


def _standing(weighed: WeighedVersion, now: datetime) -> Standing:
    version, since = weighed.version, weighed.weightless_since
    return Standing(
        uid=version.uid,
        name=version.name,
        digest=version.build.digest,
        role=version.role,
        made=version.state is IndexState.SERVING,
        weight=weighed.weight,
        weightless_seconds=NO_LEASE if since is None else (now - since).total_seconds(),
    )
