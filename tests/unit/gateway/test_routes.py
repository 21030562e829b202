"""Where questions go when indexing cannot be asked: where they went last, for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from ragmesh.core.answers import AskQuery
from ragmesh.core.callers import Machine
from ragmesh.core.errors import CollectionNotFoundError, PeerUnavailableError, RoutesStaleError
from ragmesh.core.migrations import CollectionRoute, RouteBatch, RouteShare
from ragmesh.core.questions import Question
from ragmesh.gateway.identity import DEVELOPER
from ragmesh.gateway.routes import KnownRoutes, LeasedRouter
from ragmesh.gateway.settings import GatewaySettings
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.gateway import COLLECTION, FakeMesh

ROUTE = CollectionRoute(
    DEVELOPER.tenant_uid,
    "uid",
    COLLECTION,
    (RouteShare("one", "v1", 70, "a", "en"), RouteShare("two", "v2", 30, "b", "de")),
    epoch=4,
)


class Away:
    async def resolve_route(self, *_args: object, **_named: object) -> None:
        raise PeerUnavailableError("indexing is away")


def known(*batches: RouteBatch, clock: ManualClock | None = None) -> KnownRoutes:
    routes = KnownRoutes(clock or ManualClock())
    for batch in batches:
        routes.apply(batch)
    return routes


def router(routes: KnownRoutes) -> LeasedRouter:
    return LeasedRouter(Away(), routes)  # type: ignore[arg-type]  # it answers nothing


async def test_a_gateway_that_is_cut_off_for_eight_minutes_still_answers() -> None:
    mesh = await FakeMesh(clock=ManualClock()).with_collection()
    assert isinstance(mesh.clock, ManualClock)
    service = mesh.service()
    async for batch in mesh.catalog.watch_routes(Machine("gateway")):
        mesh.routes.apply(batch)
    mesh.catalog.error = PeerUnavailableError("indexing is away")
    await mesh.clock.advance(480.0)
    query = AskQuery(COLLECTION, Question.parse("How much leave is there?"))
    answer = await service.ask(DEVELOPER, query, request_id="r")
    assert answer.degraded == ("STALE_ROUTES",)
    assert answer.index_version == "v1-00000000"


async def test_after_the_lease_a_question_is_refused_instead_of_sent_astray() -> None:
    clock = ManualClock()
    routes = known(RouteBatch((ROUTE,), caught_up=True), clock=clock)
    await clock.advance(601.0)
    with pytest.raises(RoutesStaleError):
        await router(routes).resolve_route(DEVELOPER, COLLECTION)


async def test_a_lease_may_be_shorter_but_never_longer_than_a_version_stays() -> None:
    clock = ManualClock()
    routes = KnownRoutes(clock, lease_seconds=5.0)
    routes.apply(RouteBatch((ROUTE,), caught_up=True))
    await clock.advance(5.0)
    assert (await router(routes).resolve_route(DEVELOPER, COLLECTION)).is_stale
    await clock.advance(0.1)
    with pytest.raises(RoutesStaleError):
        await router(routes).resolve_route(DEVELOPER, COLLECTION)
    with pytest.raises(ValidationError):
        GatewaySettings(route_lease_seconds=601.0)


@pytest.mark.parametrize("name", ["key_lease_seconds", "route_lease_seconds"])
def test_no_lease_is_shorter_than_the_silence_between_two_signs_of_life(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 5"):
        GatewaySettings.model_validate({name: 4.9})
    assert getattr(GatewaySettings.model_validate({name: 5.0}), name) == 5.0


def test_keys_are_not_believed_for_longer_than_routes_are_good() -> None:
    assert GatewaySettings(key_lease_seconds=60.0, route_lease_seconds=60.0).route_lease_seconds
    with pytest.raises(
        ValidationError, match=r"key_lease_seconds must not be above gateway\.route"
    ):
        GatewaySettings(key_lease_seconds=61.0, route_lease_seconds=60.0)


async def test_an_older_route_than_the_one_known_is_refused() -> None:
    older = replace(ROUTE, shares=(RouteShare("old", "v0", 100),), epoch=3)
    routes = known(RouteBatch((ROUTE,), caught_up=True), RouteBatch((older,)))
    route = await router(routes).resolve_route(DEVELOPER, COLLECTION, affinity="ada")
    assert (route.epoch, route.index_version_uid != "old") == (4, True)


async def test_equal_affinities_meet_the_version_that_indexing_gave_them() -> None:
    routes = known(RouteBatch((ROUTE,), caught_up=True))
    found = [
        (await router(routes).resolve_route(DEVELOPER, COLLECTION, affinity=f"u{n}")).language
        for n in range(200)
    ]
    again = [
        (await router(routes).resolve_route(DEVELOPER, COLLECTION, affinity=f"u{n}")).language
        for n in range(200)
    ]
    assert found == again
    assert 40 <= found.count("de") <= 80


async def test_a_collection_that_ended_is_not_known_any_more() -> None:
    routes = known(
        RouteBatch((ROUTE,), caught_up=True), RouteBatch(deleted_collection_uids=("uid",))
    )
    with pytest.raises(PeerUnavailableError):
        await router(routes).resolve_route(DEVELOPER, COLLECTION)


async def test_what_a_new_stream_does_not_tell_of_has_ended() -> None:
    routes = known(RouteBatch((ROUTE,), caught_up=True))
    routes.keep_only(frozenset())
    with pytest.raises(PeerUnavailableError):
        await router(routes).resolve_route(DEVELOPER, COLLECTION)


async def test_a_catalog_that_answers_is_believed_whatever_was_heard() -> None:
    mesh = await FakeMesh().with_collection()
    mesh.routes.apply(RouteBatch((replace(ROUTE, collection="gone"),), caught_up=True))
    with pytest.raises(CollectionNotFoundError):
        await LeasedRouter(mesh.catalog, mesh.routes).resolve_route(DEVELOPER, "gone")
