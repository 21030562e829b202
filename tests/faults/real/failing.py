"""The faults that a seed chooses from: each strikes, lasts a moment and is over when it returns."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType

from tests.faults.real.meddling import (
    forbid_writes,
    remove_dead_letter_topics,
    repeat_events,
    send_garbage,
)
from tests.faults.real.moments import STAGES, kill_gateway_in_mid_upload, kill_indexers
from tests.faults.real.scene import Scene
from tests.faults.wires import Wire

Fault = Callable[[Scene], Awaitable[None]]

_SERVERS = ("kafka", "weaviate", "postgres", "redis", "s3")
_TARGETS = ("indexer", "gateway", "indexing", "retrieval", "embedding", "cache")
_NARROW_BYTES = 20_000.0
_SLOW_SECONDS = 0.3


# -- servers ---------------------------------------------------------------------


async def _kill_server(name: str, scene: Scene) -> None:
    server = scene.mesh.servers[name]
    await asyncio.to_thread(server.kill)
    await scene.meanwhile()
    await asyncio.to_thread(server.start)


async def _freeze_server(name: str, scene: Scene) -> None:
    server = scene.mesh.servers[name]
    await asyncio.to_thread(server.freeze)
    await scene.meanwhile()
    await asyncio.to_thread(server.thaw)


# -- wires to servers ------------------------------------------------------------

_WEATHERS: Mapping[str, Callable[[Wire], None]] = MappingProxyType(
    {
        "slow": lambda wire: wire.slow(_SLOW_SECONDS),
        "narrow": lambda wire: wire.narrow(_NARROW_BYTES),
        "silent": Wire.silence,
        "half-open": Wire.swallow_answers,
        "reset": Wire.reset,
        "dead": Wire.die,
    }
)


async def _bad_wire(name: str, weather: str, scene: Scene) -> None:
    wires = scene.mesh.wires[name]
    for wire in wires:
        await asyncio.to_thread(_WEATHERS[weather], wire)
    await scene.meanwhile()
    for wire in wires:
        wire.heal()


# -- processes -------------------------------------------------------------------


async def _kill_process(target: str, scene: Scene) -> None:
    name = scene.chance.choice(scene.mesh.names_of(target))
    await scene.mesh.end(name)
    await scene.meanwhile()
    await scene.mesh.begin(name)


async def _freeze_process(target: str, scene: Scene) -> None:
    name = scene.chance.choice(scene.mesh.names_of(target))
    scene.mesh.send(name, signal.SIGSTOP)
    await scene.meanwhile()
    scene.mesh.send(name, signal.SIGCONT)


async def _block_loop(target: str, scene: Scene) -> None:
    scene.mesh.send(scene.chance.choice(scene.mesh.names_of(target)), signal.SIGUSR1)
    await scene.meanwhile()


async def _leave_and_join(scene: Scene) -> None:
    name = scene.chance.choice(scene.mesh.names_of("indexer"))
    await scene.mesh.end(name, signal.SIGTERM)
    await scene.meanwhile()
    await scene.mesh.begin(name)


def _all_faults() -> dict[str, Fault]:
    found: dict[str, Fault] = {
        "an indexer leaves and comes": _leave_and_join,
        "gateway killed in mid-upload": kill_gateway_in_mid_upload,
        "events again, in disorder and late": repeat_events,
        "events that nobody can read": send_garbage,
        "dead letters have no topic": remove_dead_letter_topics,
        "weaviate read-only": forbid_writes,
    }
    for stage in STAGES:
        found[f"indexers killed, a document {stage}"] = partial(kill_indexers, stage)
    for name in _SERVERS:
        found[f"{name} killed"] = partial(_kill_server, name)
        found[f"{name} frozen"] = partial(_freeze_server, name)
    for name, weather in itertools.product(_SERVERS, _WEATHERS):
        found[f"wire to {name} {weather}"] = partial(_bad_wire, name, weather)
    for target in _TARGETS:
        found[f"{target} killed"] = partial(_kill_process, target)
        found[f"{target} frozen"] = partial(_freeze_process, target)
        found[f"{target} blocked"] = partial(_block_loop, target)
    return found


FAULTS: Mapping[str, Fault] = MappingProxyType(_all_faults())
"""By name, in the order of their kinds."""
