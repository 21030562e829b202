"""Targets are one literal table; what each builds, needs and listens on is pinned here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from ragmesh.app.modules import MODULES, TARGETS, modules_of
from ragmesh.app.modules.internal import NEEDS
from ragmesh.app.modules.tls import shown_certificates
from ragmesh.app.run import Ready, run_target
from ragmesh.app.settings import Settings, Target
from ragmesh.app.wiring import CLIENTS
from ragmesh.chassis.settings import load
from ragmesh.core.errors import InvalidSettingsError, PortInUseError
from ragmesh.indexing.adapters.catalog.places import PostgresPlace, Tls
from tests.plain_calls import health_of, reflection_of, services_shown


def settings_for(folder: Path, **more: object) -> Settings:
    """Settings of a mesh on this folder and free ports."""
    flags = {"data_dir": folder, "gateway.http": "127.0.0.1:0", "gateway.grpc": "127.0.0.1:0"}
    return load(Settings, config_file=None, environ={}, overrides=flags | more)


def test_every_target_is_a_list_of_modules() -> None:
    around = ("telemetry", "tls", "identity", "health", "internal_http")
    assert dict(TARGETS) == {
        "all": (
            "telemetry",
            "tls",
            "health",
            "internal_http",
            "parsers",
            "cache",
            "embedding",
            "retrieval",
            "generation",
            "events",
            "catalog",
            "indexing",
            "heads",
            "indexer",
            "gateway",
        ),
        "gateway": (*around, "gateway"),
        "embedding": (*around, "embedding", "internal_grpc"),
        "retrieval": (*around, "retrieval", "heads", "internal_grpc"),
        "generation": (*around, "generation", "internal_grpc"),
        "cache": (*around, "cache", "internal_grpc"),
        "indexing": (
            *around,
            "parsers",
            "events",
            "catalog",
            "indexing",
            "indexer",
            "internal_grpc",
        ),
        "indexer": (*around, "parsers", "events", "catalog", "indexer"),
    }
    assert set(TARGETS) == set(get_args(Target))


@pytest.mark.parametrize("target", TARGETS)
def test_every_need_of_a_module_starts_before_it_or_is_dialled(target: str) -> None:
    modules = TARGETS[target]
    for position, name in enumerate(modules):
        for need in MODULES[name].needs:
            assert need in (modules[:position] if need in modules else CLIENTS)


def test_the_embedded_target_needs_nobody_else() -> None:
    assert {need for name in TARGETS["all"] for need in MODULES[name].needs} <= set(TARGETS["all"])
    assert "internal_grpc" not in TARGETS["all"]


def test_the_needs_of_modules_form_no_cycle() -> None:
    order = list(TopologicalSorter({name: MODULES[name].needs for name in MODULES}).static_order())
    # What flows back to retrieval is a module of its own, which nobody needs.
    assert order.index("retrieval") < order.index("indexing") < order.index("heads")


@pytest.mark.parametrize("target", TARGETS)
def test_health_watches_whom_a_target_calls(target: str) -> None:
    needs = {need for name in TARGETS[target] for need in MODULES[name].needs}
    assert set(NEEDS.get(target, {})) == needs - set(TARGETS[target])


async def services_at(address: str) -> set[str]:
    """What the listener at this address says it serves."""
    async with grpc.aio.insecure_channel(address) as channel:
        return await services_shown(channel)


Look = Callable[[Ready, Callable[[], None]], Awaitable[None]]
"""Looks at a target that serves, and may have it stop."""


async def run_and_look(settings: Settings, look: Look) -> None:
    """Run the target, look at it once it serves, and stop it."""
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped:  # a second signal would end the tests
            stopped = True
            os.kill(os.getpid(), signal.SIGTERM)

    async def look_and_stop(ready: Ready) -> None:
        await look(ready, stop)  # what it raises cancels the target: no signal is left to take
        stop()

    async with asyncio.TaskGroup() as group:

        def announce(ready: Ready) -> None:
            group.create_task(look_and_stop(ready))

        await run_target(settings, announce=announce)


@pytest.mark.parametrize("target", ["all", "gateway"])
async def test_the_public_listener_serves_the_gateway_and_nothing_else(
    tmp_path: Path, target: str
) -> None:
    served: set[str] = set()
    seen: list[Ready] = []

    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        seen.append(ready)
        served.update(await services_at(ready.grpc or ""))

    free = {} if target == "all" else {"internal.http": "127.0.0.1:0"}
    await run_and_look(settings_for(tmp_path, target=target, **free), look)
    assert served == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "ragmesh.api.gateway.v1.AdminService",
        "ragmesh.api.gateway.v1.AskService",
        "ragmesh.api.gateway.v1.CollectionService",
        "ragmesh.api.gateway.v1.DocumentService",
    }
    assert seen[0].internal_grpc is None
    assert (seen[0].internal_http is None) == (target == "all")


async def test_developer_mode_does_not_start_in_a_cluster(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(InvalidSettingsError):
        await run_target(settings_for(folder), announce=lambda _: None, in_cluster=True)
    assert not folder.exists()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "nonsense", "127.0.0.1:99999"])
@pytest.mark.parametrize("door", ["gateway.http", "gateway.grpc"])
async def test_an_address_that_is_refused_leaves_nothing_behind(
    tmp_path: Path, door: str, address: str
) -> None:
    folder = tmp_path / "new"
    with pytest.raises(InvalidSettingsError):
        await run_target(settings_for(folder, **{door: address}), announce=lambda _: None)
    assert not folder.exists()


@pytest.mark.parametrize("door", ["gateway.http", "gateway.grpc"])
async def test_a_port_in_use_is_told_before_anything_is_opened(tmp_path: Path, door: str) -> None:
    folder = tmp_path / "new"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PortInUseError):
            await run_target(settings_for(folder, **{door: address}), announce=lambda _: None)
    assert not folder.exists()


def test_two_stores_in_one_file_are_refused(tmp_path: Path) -> None:
    both = {
        "catalog.url": f"sqlite+aiosqlite:///{tmp_path}/one.db",
        "events.url": f"sqlite:///{tmp_path}/one.db",
    }
    with pytest.raises(InvalidSettingsError):
        settings_for(tmp_path, **both)


def test_a_publication_that_waits_less_than_searches_trust_old_heads_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidSettingsError, match="publish_wait_seconds must be above"):
        settings_for(tmp_path, **{"indexing.publish_wait_seconds": 5.0})


def test_the_indexer_alone_is_refused_without_stores_that_can_be_shared(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match="target indexer needs PostgreSQL and Kafka"):
        settings_for(tmp_path, target="indexer")


SHARED = {
    "catalog.url": "postgresql+asyncpg://ragmesh@db.example.org/ragmesh",
    "events.url": "kafka://kafka.example.org:9092",
}
"""Stores that processes can share."""


@pytest.mark.parametrize("missing", SHARED)
def test_the_indexer_alone_needs_both_stores_to_be_shared(tmp_path: Path, missing: str) -> None:
    some = {name: url for name, url in SHARED.items() if name != missing}
    with pytest.raises(InvalidSettingsError, match="target indexer needs PostgreSQL and Kafka"):
        settings_for(tmp_path, target="indexer", **some)
    assert settings_for(tmp_path, target="indexer", **SHARED).has_shared_work


def test_indexing_leaves_the_work_to_indexers_that_can_have_a_process_of_their_own(
    tmp_path: Path,
) -> None:
    alone = modules_of(settings_for(tmp_path, target="indexing", **SHARED))
    assert set(TARGETS["indexing"]) - set(alone) == {"parsers", "indexer"}
    assert modules_of(settings_for(tmp_path, target="indexing")) == TARGETS["indexing"]
    assert modules_of(settings_for(tmp_path, **SHARED)) == TARGETS["all"]
    called = modules_of(settings_for(tmp_path, **{"internal.grpc": "127.0.0.1:0"}))
    assert [name for name in called if name not in TARGETS["all"]] == ["identity", "internal_grpc"]


def test_a_catalog_on_another_machine_is_reached_encrypted_unless_somebody_says_otherwise(
    tmp_path: Path,
) -> None:
    def tls_of(**more: object) -> Tls | None:
        place = settings_for(tmp_path, **(SHARED | more)).catalog_place
        assert isinstance(place, PostgresPlace)
        return place.tls

    local = "postgresql+asyncpg://ragmesh@127.0.0.1/ragmesh"
    ca = tmp_path / "ca.pem"
    assert tls_of() == Tls()
    assert tls_of(**{"catalog.tls": "off"}) is None
    assert tls_of(**{"catalog.url": local}) is None
    assert tls_of(**{"catalog.url": local, "catalog.tls": "verify", "catalog.tls_ca_file": ca}) == (
        Tls(ca)
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"catalog.url": "postgresql+asyncpg://u:p@h/d"}, "password_file"),
        ({"catalog.url": "postgresql+asyncpg://h/d"}, "must name a user and a host"),
        ({"catalog.url": "postgresql+asyncpg://u@h/d?ssl=on"}, "pattern"),
        ({"catalog.tls": "off", "catalog.tls_ca_file": "ca.pem"}, "would not be used"),
        ({"catalog.tls_key_file": "key.pem"}, "go together"),
    ],
)
def test_settings_of_the_catalog_that_contradict_each_other_are_refused(
    tmp_path: Path, more: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidSettingsError, match=sentence):
        settings_for(tmp_path, **(SHARED | more))


@pytest.mark.parametrize("target", ["gateway"])
def test_an_internal_listener_that_nobody_calls_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(InvalidSettingsError, match=f"contradicts target {target}"):
        settings_for(tmp_path, target=target, **{"internal.grpc": "127.0.0.1:0"})


@pytest.mark.parametrize("listener", ["internal.grpc", "internal.http"])
async def test_an_internal_address_of_other_machines_is_refused(
    tmp_path: Path, listener: str
) -> None:
    free = {"internal.grpc": "127.0.0.1:0", "internal.http": "127.0.0.1:0"}
    settings = settings_for(tmp_path / "new", target="cache", **(free | {listener: "0.0.0.0:0"}))
    with pytest.raises(InvalidSettingsError, match="loopback"):
        await run_target(settings, announce=lambda _: None)
    assert not (tmp_path / "new").exists()


async def test_a_network_of_the_mesh_alone_may_be_listened_on_without_certificates(
    tmp_path: Path,
) -> None:
    seen: list[Ready] = []

    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        seen.append(ready)

    everywhere = {"internal.grpc": "0.0.0.0:0", "internal.http": "0.0.0.0:0"}
    trusted = {"internal.trusted_network": True}
    await run_and_look(cache_settings(tmp_path, **(everywhere | trusted)), look)
    assert (seen[0].internal_grpc or "").startswith("0.0.0.0:")


def test_one_process_shows_an_operator_that_it_is_indexing_and_nobody_else(
    tmp_path: Path,
) -> None:
    files = {f"tls.{name}_file": tmp_path / name for name in ("certificate", "key", "ca")}
    called = settings_for(tmp_path, **files, **{"internal.grpc": "0.0.0.0:0"})
    assert [(what, name) for what, _, name in shown_certificates(called)] == [
        ("certificate", "indexing.ragmesh.internal")
    ]
    assert called.may_listen_beyond
    assert shown_certificates(settings_for(tmp_path, **files)) == []


def test_peers_are_where_targets_listen_by_default() -> None:
    for target, address in Settings().peers.model_dump().items():
        settings = load(Settings, config_file=None, environ={}, overrides={"target": target})
        assert settings.internal_grpc == address


def cache_settings(folder: Path, **more: object) -> Settings:
    """Settings of the target that starts fastest."""
    free = {"target": "cache", "internal.grpc": "127.0.0.1:0", "internal.http": "127.0.0.1:0"}
    return settings_for(folder, **(free | more))


async def test_an_internal_listener_serves_its_target_and_nothing_else(tmp_path: Path) -> None:
    served: set[str] = set()

    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        served.update(await services_at(ready.internal_grpc or ""))

    settings = cache_settings(tmp_path, **{"internal.drain_seconds": 0})
    await run_and_look(settings, look)
    assert served == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "ragmesh.api.cache.v1.CacheService",
        "ragmesh.api.cache.v1.HitCacheService",
    }


async def test_a_target_that_stops_takes_calls_until_its_callers_have_turned_away(
    tmp_path: Path,
) -> None:
    request = health_pb2.HealthCheckRequest()
    answers: list[int] = []

    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        async with grpc.aio.insecure_channel(ready.internal_grpc or "") as channel:
            stub = health_of(channel)
            answers.append((await stub.Check(request)).status)
            stop()
            late = asyncio.get_running_loop().time() + 1.0
            while asyncio.get_running_loop().time() < late:
                await asyncio.sleep(0.1)
                answers.append((await stub.Check(request)).status)

    settings = cache_settings(tmp_path, **{"internal.drain_seconds": 3})
    await run_and_look(settings, look)
    shown = health_pb2.HealthCheckResponse
    assert answers[0] == shown.SERVING
    assert set(answers[1:]) == {shown.NOT_SERVING}


async def test_a_target_that_stops_waits_for_calls_under_way_as_long_as_it_is_told_to(
    tmp_path: Path,
) -> None:
    clock = asyncio.get_running_loop().time
    taken: list[float] = []

    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        async def questions() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            await asyncio.Event().wait()

        async with grpc.aio.insecure_channel(ready.internal_grpc or "") as channel:
            replies = reflection_of(channel).ServerReflectionInfo(questions())
            await anext(aiter(replies))
            begun = clock()
            stop()
            with pytest.raises(grpc.aio.AioRpcError):
                await anext(aiter(replies))
            taken.append(clock() - begun)

    short = {"internal.drain_seconds": 0, "internal.grace_seconds": 1}
    await run_and_look(cache_settings(tmp_path, **short), look)
    assert 0.9 < taken[0] < 8  # ten, were it not told


async def test_a_connection_to_a_target_takes_no_calls_beyond_its_age(tmp_path: Path) -> None:
    async def look(ready: Ready, stop: Callable[[], None]) -> None:
        async with grpc.aio.insecure_channel(ready.internal_grpc or "") as channel:
            await channel.channel_ready()
            async with asyncio.timeout(30):
                await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
            assert channel.get_state() is not grpc.ChannelConnectivity.READY

    young = {"internal.drain_seconds": 0, "internal.connection_age_seconds": 1}
    await run_and_look(cache_settings(tmp_path, **young), look)


def test_one_process_for_all_waits_for_nobody(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    assert (settings.drain_seconds, settings.connection_age_seconds) == (0, None)
