"""Faults that last: so long that whoever waits for an end of them has given up before."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.faults.history import Outcome
from tests.faults.real.mesh import BLOCK_SECONDS
from tests.faults.real.moments import await_stage
from tests.faults.real.scene import Scene
from tests.faults.real.stored import stored_by

JOINS = 10
_HEIR_SECONDS = 240.0
"""In which somebody else has done the work of who sleeps, on a busy machine."""


def _answered(scene: Scene) -> int:
    return sum(
        call.outcome is Outcome.OK and call.operation.kind != "again"
        for users in scene.users
        for call in users.calls
    )


async def kafka_away(seconds: float, scene: Scene) -> None:
    """Kill the broker for so long: what users change is taken meanwhile."""
    kafka = scene.mesh.servers["kafka"]
    await asyncio.to_thread(kafka.kill)
    before = _answered(scene)
    await asyncio.sleep(seconds)
    taken = _answered(scene) - before
    await asyncio.to_thread(kafka.start)
    assert taken, "nothing was taken while Kafka was away"


async def redis_frozen(seconds: float, scene: Scene) -> None:
    """Freeze the cache's Redis for so long: searches are answered meanwhile."""
    redis = scene.mesh.servers["redis"]
    await asyncio.to_thread(redis.freeze)
    before = sum(len(users.sights) for users in scene.users)
    await asyncio.sleep(seconds)
    answered = sum(len(users.sights) for users in scene.users) - before
    await asyncio.to_thread(redis.thaw)
    assert answered, "nothing was found while Redis was frozen"


async def loop_blocked(name: str, seconds: float, scene: Scene) -> None:
    """Let the event loop of a process do nothing for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # The next one is felt when the handler of the last has slept, before the loop goes on.
        scene.mesh.send(name, signal.SIGUSR1)
        await asyncio.sleep(BLOCK_SECONDS / 2)


async def joins_and_leaves(scene: Scene) -> None:
    """Have indexers leave and come, in turn."""
    names = scene.mesh.names_of("indexer")
    for number in range(JOINS // 2):  # each leaves and comes
        name = names[number % len(names)]
        await scene.mesh.end(name, signal.SIGTERM)
        await scene.mesh.begin(name)


async def old_worker_wakes_up(seconds: float, scene: Scene) -> None:
    """Freeze an indexer in the midst of a write, and let it go on when others did its work."""
    old, heir = scene.mesh.names_of("indexer")
    users = scene.users[0]
    await scene.mesh.end(heir, signal.SIGTERM)  # so that the other does everything
    async with stored_by(scene.mesh) as stored:
        await await_stage(users, stored, "being written")
        scene.mesh.send(old, signal.SIGSTOP)
        place = await stored.place(users.tenant, users.doors[0].collection)
        frozen_at = await stored.published(place)
        await scene.mesh.begin(heir)
        await asyncio.sleep(seconds)
        async with asyncio.timeout(_HEIR_SECONDS):
            while await stored.published(place) == frozen_at:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
    scene.mesh.send(old, signal.SIGCONT)
