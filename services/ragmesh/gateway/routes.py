"""Routes as the gateway heard of them last, for when indexing cannot be asked.

A question asks the catalog, which knows its routes by heart. Who is away is not waited for: for the
time of the lease the last route that was heard of is good, since no index version leaves the store
sooner. An older epoch than the one known is refused, whatever the order in which they come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.clock import Clock
from ragmesh.core.documents import Route
from ragmesh.core.errors import Kind, RagmeshError, RoutesStaleError
from ragmesh.core.migrations import CollectionRoute, RouteBatch
from ragmesh.core.routing import picked
from ragmesh.gateway.index_ports import RouteSource
from ragmesh.gateway.ports import Router

LEASE_SECONDS = 600.0
"""How long a route is good that cannot be renewed; a version stays in the store for longer."""
PATIENCE_SECONDS = 1.0
"""How long the catalog is waited for where another route is known."""
_PAUSE_SECONDS = 0.5
_GATEWAY = Machine("gateway")
_OF_OTHERS = frozenset({Kind.NOT_FOUND, Kind.INTERNAL, Kind.DENIED, Kind.UNSUPPORTED})
"""Kinds of errors that another process may answer with, and answer otherwise a moment later."""
_log = logging.getLogger(__name__)


class KnownRoutes:
    """Routes by tenant and name, as they were a moment ago."""

    def __init__(self, clock: Clock, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._routes: dict[str, CollectionRoute] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._heard_at: float | None = None

    def apply(self, batch: RouteBatch) -> None:
        """Take over what changed; an older epoch than the one known changes nothing."""
        for route in batch.routes:
            known = self._routes.get(route.collection_uid)
            if known is None or route.epoch >= known.epoch:
                self._routes[route.collection_uid] = route
                self._uids[route.tenant_uid, route.collection] = route.collection_uid
        for uid in batch.deleted_collection_uids:
            self._forget(uid)
        if batch.caught_up:
            self._heard_at = self._clock.monotonic()

    def keep_only(self, uids: frozenset[str]) -> None:
        """Forget every route but these: somebody told all that there are."""
        for uid in set(self._routes) - uids:
            self._forget(uid)

    def last_known(self, caller: Caller, name: str, affinity: str) -> Route | None:
        """The last route that was heard of; RoutesStaleError once its lease is over."""
        if not isinstance(caller, Principal):
            return None
        route = self._routes.get(self._uids.get((caller.tenant_uid, name), ""))
        if route is None:
            return None
        silence = self._silence_seconds
        if silence is None or silence > self._lease_seconds:
            raise RoutesStaleError(
                "nothing was heard of routes for longer than one is good", retry_after_seconds=1.0
            )
        return _to_one(route, affinity)

    @property
    def _silence_seconds(self) -> float | None:
        return None if self._heard_at is None else self._clock.monotonic() - self._heard_at

    def _forget(self, uid: str) -> None:
        route = self._routes.pop(uid, None)
        # Another collection may have the name by now.
        if route is not None and self._uids.get((route.tenant_uid, route.collection)) == uid:
            del self._uids[route.tenant_uid, route.collection]


def _to_one(route: CollectionRoute, affinity: str) -> Route:
    share = route.shares[picked([one.weight for one in route.shares], affinity)]
    return Route(
        tenant_uid=route.tenant_uid,
        collection_uid=route.collection_uid,
        collection=route.collection,
        language=share.language,
        encoder=share.encoder,
        index_version_uid=share.index_version_uid,
        index_version=share.index_version,
        epoch=route.epoch,
        is_stale=True,
    )


@dataclass(frozen=True, slots=True)
class LeasedRouter:
    """Asks the catalog for a route; while that is away, the last one known is good."""

    catalog: Router
    known: KnownRoutes

    async def resolve_route(self, caller: Caller, name: str, *, affinity: str = "") -> Route:
        """The route of a collection; equal affinities meet equal index versions."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS) as patience:
                if not self._is_known(caller, name, affinity):
                    patience.reschedule(None)
                return await self.catalog.resolve_route(caller, name, affinity=affinity)
        except (TimeoutError, RagmeshError) as error:
            if isinstance(error, RagmeshError) and error.kind is not Kind.UNAVAILABLE:
                raise
            known = self.known.last_known(caller, name, affinity)
            if known is None:
                raise
            return known

    def _is_known(self, caller: Caller, name: str, affinity: str) -> bool:
        try:
            return self.known.last_known(caller, name, affinity) is not None
        except RoutesStaleError:
            return False


class RouteFollower:
    """Keeps known routes up to date, one stream after the other."""

    def __init__(self, source: RouteSource, known: KnownRoutes, clock: Clock) -> None:
        self._source = source
        self._known = known
        self._clock = clock

    async def run(self) -> None:
        """Follow for ever; who is away is asked again, and leases run meanwhile."""
        while True:
            try:
                await self._follow()
            except RagmeshError as error:
                if not (error.kind.transient or error.kind in _OF_OTHERS):
                    raise
                _log.debug("routes are not to be had", extra={"reason": error.reason})
            await self._clock.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        stream = cast("AsyncGenerator[RouteBatch, None]", self._source.watch_routes(_GATEWAY))
        told: set[str] = set()
        is_whole = False
        async with aclosing(stream):
            async for batch in stream:
                self._known.apply(batch)
                if not is_whole:
                    told.update(route.collection_uid for route in batch.routes)
                    is_whole = batch.caught_up
                    if is_whole:
                        self._known.keep_only(frozenset(told))
