"""Whatever dies at whichever write, the end is the same; and looks may come as they like."""

from __future__ import annotations

import asyncio
import statistics
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragmesh_operator.values import Key
from tests.unit.operators.world import World, world

WRITES = 14
"""More than the story has."""
MOST_SECONDS, MOST_BYTES = 2.0, 400 * 2**20


async def story(made: World) -> Key:
    """A collection is made, changed, held by a command, and looked at in spite of kills."""
    key = made.cluster.create("handbook", {"encoder": "fake", "deletionPolicy": "Delete"})
    await made.look_in_spite_of_kills(key)
    made.cluster.edit(key, encoder="better", defaultAccess="restricted")
    await made.look_in_spite_of_kills(key)
    made.cluster.annotate(key, migration="hold")
    await made.look_in_spite_of_kills(key)
    await made.look_in_spite_of_kills(key)
    return key


def end(made: World, key: Key) -> dict[str, Any]:
    """What is left, without what differs from run to run."""
    status = {**made.cluster.status(key)}
    status["migration"] = {
        name: value for name, value in status["migration"].items() if name != "command"
    }
    command = made.cluster.status(key)["migration"]["command"]["outcome"]
    (found,) = made.mesh.collections.values()
    return {
        "status": status,
        "command": command,
        "held": sum(method == "command" for method, _, _ in made.mesh.sent),
        "access": found.shown.default_access,
        "annotations": made.cluster.bodies[key]["metadata"].get("annotations", {}),
    }


# OP-6
@pytest.mark.parametrize("after", [False, True])
async def test_an_operator_that_dies_at_any_write_comes_to_the_same_end(after: bool) -> None:
    clean = await world()
    wanted = end(clean, await story(clean))
    assert wanted["command"] == "Done"
    assert clean.kills.writes < WRITES
    for at in range(1, clean.kills.writes + 1):
        made = await world()
        made.kills.at, made.kills.after = at, after
        found = end(made, await story(made))
        found.pop("held")
        assert found == {name: value for name, value in wanted.items() if name != "held"}, at
        assert len(made.mesh.keys) == 1, at


# OP-1
@settings(max_examples=25, deadline=None)
@given(looks=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_any_order_and_number_of_looks_comes_to_the_same(looks: list[int]) -> None:
    async def run() -> None:
        made = await world()
        names = ("a", "b", "c", "d")
        keys = [made.cluster.create(name, {"encoder": "fake"}) for name in names]
        for at in looks:
            made.cluster.edit(keys[at], encoder=f"encoder-{at}")
            await made.look(keys[at])
        for key in keys:
            await made.look(key)
        before = made.written
        for key in reversed(keys):
            await made.look(key)
        assert made.written == before
        wanted = {key: made.cluster.bodies[key]["spec"]["encoder"] for key in keys}
        for (tenant_uid, name), _found in made.mesh.collections.items():
            state = made.mesh._states[tenant_uid, name]
            assert state.wanted.encoder == wanted[Key("ragcollections", "docs", name)]

    asyncio.run(run())


# OP-11
async def test_five_hundred_settled_collections_take_no_write_little_time_and_little_memory() -> (
    None
):
    tracemalloc.start()
    try:
        made = await world()
        keys = [made.cluster.create(f"c{number}", {}) for number in range(500)]
        for key in keys:
            await made.look(key)
        before, seconds = made.written, []
        for _minute in range(3):
            for key in keys:
                began = time.perf_counter()
                await made.look(key)
                seconds.append(time.perf_counter() - began)
            await made.clock.advance(60.0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.written == before
    assert statistics.quantiles(seconds, n=20)[-1] <= MOST_SECONDS
    assert most <= MOST_BYTES
