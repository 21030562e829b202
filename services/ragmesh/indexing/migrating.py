"""Carries migrations out: observes, plans, does a step, and looks again.

It keeps nothing that it could not lose: where a migration stands is in the catalog, and each of
its steps is one transaction there or can be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime

from ragmesh.chassis.events.waiting import first_of
from ragmesh.core.clock import Clock
from ragmesh.core.errors import RagmeshError
from ragmesh.indexing.gate import Gate
from ragmesh.indexing.migration import after, plan
from ragmesh.indexing.migration_state import NO_LEASE, Change, Observed, Standing
from ragmesh.indexing.migration_steps import CreateIndex, Evaluate, Feed, Step, Verify
from ragmesh.indexing.migration_stores import Changing, WeighedVersion
from ragmesh.indexing.ports import IndexRegistry
from ragmesh.indexing.records import IndexState
from ragmesh.indexing.route_feed import RouteFeed
from ragmesh.indexing.routing import CollectionTable
from ragmesh.indexing.stages import INDEXER
from ragmesh.indexing.stores import Catalog
from ragmesh.indexing.verifying import Verifier

_log = logging.getLogger(__name__)
_MOST_STEPS = 50
"""Of one migration in a row; then others have their turn."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class MigrationLimits:
    """How fast candidates are filled, and how often migrations are looked at."""

    documents_per_second: float = 50.0
    window_documents: int = 64
    """Most documents of one version that are under way."""
    pause_seconds: float = 0.5
    lease_seconds: float = 600.0
    """How long a router may send questions by a route that it cannot renew."""


@dataclass(slots=True)
class _Fed:
    """How far one version was fed: where to go on, and how much it may get by now."""

    at: float
    after: str = ""
    allowance: float = 0.0


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
    _fed: dict[str, _Fed] = field(default_factory=dict, init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Look at once: somebody wants something."""
        self._woken.set()

    async def run(self) -> None:
        """Look after every pause, until cancelled."""
        while True:
            self._woken.clear()
            began = self._clock.monotonic()
            await self.look()
            spent = self._clock.monotonic() - began
            pause = max(self._limits.pause_seconds, 2 * spent)
            await first_of(self._wait(), self._clock.sleep(pause))

    async def look(self) -> None:
        """Carry out what can be done now of every migration."""
        after_uid = ""
        while True:
            uids = await self._unsettled(after_uid)
            for uid in uids:
                await self._try(uid)
            if len(uids) < _PAGE:
                return
            after_uid = uids[-1]

    async def advance(self, collection_uid: str) -> None:
        """Do the steps of one migration until there is nothing to do but wait."""
        for _ in range(_MOST_STEPS):
            if not await self._advance_once(collection_uid):
                return

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
            return ()

    async def _try(self, uid: str) -> None:
        try:
            await self.advance(uid)
        except RagmeshError as error:
            # One index that is away must not keep the others from being changed.
            _log.warning(
                "a migration does not go on",
                extra={"collection": uid, "reason": error.reason},
            )

    async def _advance_once(self, collection_uid: str) -> bool:
        """Whether something has changed, so that it is worth looking again."""
        changing = await self._catalog.find_changing(collection_uid)
        if changing is None:
            return False
        observed = await self.observe(changing)
        steps = plan(observed)
        if not steps and observed.state.phase.rests and len(observed.versions) == 1:
            await self._catalog.settle_migration(observed.state)
        for step in steps:
            if isinstance(step, Feed):
                await self._feed(step.uid)
            else:
                return await self._carry_out(step, changing, observed)
        return False

    async def _carry_out(self, step: Step, changing: Changing, observed: Observed) -> bool:
        if isinstance(step, CreateIndex):
            version = changing.version(step.uid)
            await self._index.create_index(INDEXER, version.spec)
            await self._catalog.mark_serving(version.uid)
            return True
        change = await self._change_of(step, changing, observed)
        if not await self._catalog.commit_change(change):
            return False
        self._fed.pop(change.dropped, None)
        self._tell(step, changing, change)
        return True

    async def _change_of(self, step: Step, changing: Changing, observed: Observed) -> Change:
        state = changing.state
        match step:
            case Verify(uid):
                found = await self._verifier.verify(changing.version(uid))
                return Change(replace(state, checked=found.reason, message=found.message))
            case Evaluate(uid):
                judged = await self._gate.judge(
                    changing.primary, changing.version(uid), state.policy
                )
                return Change(
                    replace(
                        state,
                        verdict=judged.verdict,
                        verdicts=judged.verdicts,
                        message=judged.message,
                    )
                )
            case _:
                return after(step, observed)

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
        now = self._clock.monotonic()
        fed = self._fed.setdefault(uid, _Fed(now, allowance=1.0))
        limits = self._limits
        earned = (now - fed.at) * limits.documents_per_second
        fed.at = now
        fed.allowance = min(fed.allowance + earned, float(limits.window_documents))
        if fed.allowance < 1.0:
            return
        handed, fed.after = await self._catalog.feed_follower(
            uid, after=fed.after, limit=int(fed.allowance), window=limits.window_documents
        )
        fed.allowance -= handed

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
