"""The public doors as a module."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from ragmesh.app.wiring import Wiring
from ragmesh.chassis.executors import executor
from ragmesh.chassis.grpc_servers import ServerOptions, serve
from ragmesh.chassis.health import Health
from ragmesh.chassis.http_servers import HttpOptions, serve_http
from ragmesh.chassis.requests import apart, current_request_id, remaining_seconds
from ragmesh.chassis.telemetry.measures import CountedRefusals
from ragmesh.chassis.telemetry.signals import (
    IN_FLIGHT,
    SEARCH_PLACES,
    USAGE_DROPPED,
    USAGE_WAITING,
)
from ragmesh.chassis.tls.contexts import server_context
from ragmesh.gateway.adapters.admin_key_file import AdminKeyFile
from ragmesh.gateway.adapters.rest.app import make_app
from ragmesh.gateway.adapters.rest.origins import Origins
from ragmesh.gateway.adapters.spool_file import open_spool_file
from ragmesh.gateway.books import SpooledBooks
from ragmesh.gateway.budgets import Budgets
from ragmesh.gateway.identity import DeveloperIdentity, KeyIdentity
from ragmesh.gateway.keys import IN_FORCE_SECONDS, KeyFollower, KnownKeys
from ragmesh.gateway.limiting.gate import Gate, OnRefusal
from ragmesh.gateway.limiting.searches import RoomyRetriever, SearchRoom
from ragmesh.gateway.ports import Books, Identity
from ragmesh.gateway.quotas import TenantQuotas
from ragmesh.gateway.revoking import turn_out_refused
from ragmesh.gateway.room import UploadRoom
from ragmesh.gateway.routes import KnownRoutes, RouteFollower
from ragmesh.gateway.server import SERVICE_NAMES, DoorGuard, add_gateway
from ragmesh.gateway.server.admission import GateAdmission
from ragmesh.gateway.service import GatewayService
from ragmesh.gateway.spool import Spool, SpoolLimits

_HAND_OVER_SECONDS = 3.0


def _gate(wiring: Wiring, known: KnownKeys, on_refusal: OnRefusal) -> Gate:
    """What every request of a caller passes."""
    settings, meter = wiring.settings.gateway, wiring.telemetry.meter
    gate = Gate(
        TenantQuotas(known, settings.allowances),
        wiring.clock,
        places=lambda: settings.in_flight,
        on_refusal=on_refusal,
    )
    if meter is not None:
        meter.observe(IN_FLIGHT, lambda: gate.under_way)
    return gate


def _search_room(wiring: Wiring, on_refusal: OnRefusal) -> SearchRoom:
    """Places for searches, as many as are found without making each other late."""
    settings, meter = wiring.settings.gateway, wiring.telemetry.meter
    room = SearchRoom(wiring.clock, most=lambda: settings.in_flight, on_refusal=on_refusal)
    if meter is not None:
        meter.observe(SEARCH_PLACES, lambda: float(room.limit))
    return room


@asynccontextmanager
async def _books(wiring: Wiring) -> AsyncIterator[SpooledBooks]:
    """What was used and shown, on its way to indexing."""
    settings, keeper = wiring.settings.gateway, await wiring.port("indexing")
    budgets = Budgets(keeper, wiring.clock, settings.budget)
    async with open_spool_file(wiring.settings.spool_path) as store:
        limits = SpoolLimits(records=settings.usage_spool_records)
        spool = Spool(
            store,
            keeper,
            wiring.clock,
            limits,
            tell=budgets.learn,
            count_dropped=_dropped_counter(wiring),
        )
        if wiring.telemetry.meter is not None:
            wiring.telemetry.meter.observe(USAGE_WAITING, lambda: float(spool.waiting))
        writing = wiring.life.tasks.start("gateway.spool", spool.write())
        try:
            async with wiring.life.tasks.running("gateway.usage", spool.send()):
                yield SpooledBooks(spool, budgets, wiring.clock, current_request_id)
        finally:
            spool.close()
            await writing.finish()
            await spool.hand_over(seconds=_HAND_OVER_SECONDS)


def _dropped_counter(wiring: Wiring) -> Callable[[int], None]:
    meter = wiring.telemetry.meter
    return (lambda _count: None) if meter is None else meter.count(USAGE_DROPPED).add


async def in_force(known: KnownKeys, key_id: str) -> None:
    """Wait for a new key, but leave half of the request's time: its secret must still get out."""
    left = remaining_seconds()
    limit = IN_FORCE_SECONDS if left is None else min(IN_FORCE_SECONDS, max(left, 0.0) / 2)
    await known.until_known(key_id, limit)


async def _service(
    wiring: Wiring, books: Books, known: KnownKeys, routes: KnownRoutes
) -> GatewayService:
    settings, refusals = wiring.settings.gateway, CountedRefusals(wiring.telemetry.meter)
    made = GatewayService(
        catalog=await wiring.port("indexing"),
        retriever=RoomyRetriever(
            await wiring.port("retrieval"), _search_room(wiring, refusals.saw)
        ),
        generator=await wiring.port("generation"),
        cache=await wiring.port("cache"),
        embedder=await wiring.port("embedding"),
        clock=wiring.clock,
        limits=settings.limits,
        room=UploadRoom(settings.limits.upload_bytes, on_refusal=refusals.saw),
        routes=routes,
        gate=_gate(wiring, known, refusals.saw),
        spans=wiring.telemetry.stages("gateway"),
        apart=apart,
        in_force=partial(in_force, known),
        reranker=wiring.settings.retrieval.reranker_digest,
        books=books,
    )
    # A door has a span of its own; below it one shows what the use case took.
    observed: GatewayService = wiring.telemetry.observed("gateway", made, as_spans=True)
    return observed


@asynccontextmanager
async def open_gateway(wiring: Wiring) -> AsyncIterator[GatewayService]:
    """The service behind REST and public gRPC."""
    settings = wiring.settings.gateway
    known = KnownKeys(wiring.clock, lease_seconds=settings.key_lease_seconds)
    routes = KnownRoutes(wiring.clock, lease_seconds=settings.route_lease_seconds)
    async with _books(wiring) as books:
        service = await _service(wiring, books, known, routes)
        following = RouteFollower(await wiring.port("indexing"), routes, wiring.clock)
        async with (
            wiring.life.tasks.running("gateway.routes", following.run()),
            _identity(wiring, known) as identity,
            wiring.life.tasks.running(
                "gateway.revoking", turn_out_refused(service.gate, identity, wiring.clock)
            ),
            _serving_http(wiring, service, identity),
            _serving_grpc(wiring, service, identity),
        ):
            yield service


@asynccontextmanager
async def _identity(wiring: Wiring, known: KnownKeys) -> AsyncIterator[Identity]:
    """Who calls; keys and limits are followed for as long as somebody does."""
    settings, tasks = wiring.settings.identity, wiring.life.tasks
    follower = KeyFollower(await wiring.port("indexing"), known, wiring.clock)
    async with tasks.running("gateway.keys", follower.run()):
        if settings.admin_key_file is None:
            yield DeveloperIdentity()
            return
        file = await asyncio.to_thread(AdminKeyFile, settings.admin_key_file)
        looking = file.run(wiring.clock, every_seconds=settings.reread_seconds)
        async with tasks.running("gateway.admin_key", looking):
            yield KeyIdentity(known, lambda: file.sha256)


@asynccontextmanager
async def _http_security(wiring: Wiring) -> AsyncIterator[ssl.SSLContext | None]:
    door = wiring.tls.door
    if door is None:
        yield None
        return
    async with server_context(door) as context:
        yield context


@asynccontextmanager
async def _serving_http(
    wiring: Wiring, service: GatewayService, identity: Identity
) -> AsyncIterator[None]:
    health: Health = await wiring.port("health")
    async with executor("gateway") as pool, _http_security(wiring) as security:
        app = make_app(
            service,
            identity,
            pool=pool,
            version=version("ragmesh"),
            ready=lambda: health.ready,
            origins=Origins(frozenset(wiring.settings.gateway.allowed_origins)),
        )
        async with serve_http(
            wiring.telemetry.http(app),
            wiring.settings.gateway.http,
            tasks=wiring.life.tasks,
            options=HttpOptions(
                stopping=wiring.life.stopping,
                grace_seconds=wiring.settings.internal.grace_seconds,
                security=security,
                allow_remote=wiring.settings.has_identity,
                reader_pause_seconds=wiring.settings.gateway.reader_pause_seconds,
            ),
        ) as http:
            wiring.listening["http"] = http.url
            yield


@asynccontextmanager
async def _serving_grpc(
    wiring: Wiring, service: GatewayService, identity: Identity
) -> AsyncIterator[None]:
    settings = wiring.settings.gateway
    async with serve(
        settings.grpc,
        lambda server: add_gateway(server, service),
        service_names=SERVICE_NAMES,
        options=ServerOptions(
            max_message_bytes=settings.message_bytes,
            default_deadline_seconds=settings.question_seconds,
            drain_seconds=wiring.settings.drain_seconds,
            grace_seconds=wiring.settings.internal.grace_seconds,
            max_connection_age_seconds=wiring.settings.connection_age_seconds,
            health=await wiring.port("health"),
            clock=wiring.clock,
            admission=GateAdmission(service.gate),
            allow_remote=wiring.settings.has_identity,
            request_seconds=settings.body_pause_seconds,
            security=wiring.tls.public(),
            write_pause_seconds=settings.reader_pause_seconds,
        ),
        guard=DoorGuard(identity, service.books),
        telemetry=wiring.telemetry.calls,
    ) as grpc:
        wiring.listening["grpc"] = grpc.address
        yield
