"""A deletion ends in time, whatever holds its clean-up up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from ragmesh.core.callers import Caller, Machine
from ragmesh.core.errors import (
    CollectionKeptError,
    ConflictError,
    DeniedError,
    InvalidError,
    RagmeshError,
    RequesterOutdatedError,
)
from ragmesh.core.tenants import Tenant
from ragmesh_operator.operating import Operating
from ragmesh_operator.values import Key
from tests.unit.operators.test_gaps import operating
from tests.unit.operators.world import World, let_run, world

DELETE = {"deletionPolicy": "Delete"}


def refusing(error: RagmeshError) -> Callable[[World], None]:
    """A mesh that takes no deletion, for ever, and answers everything else."""

    def let_refuse(made: World) -> None:
        async def refuse(caller: Caller, name: str) -> None:
            raise error

        made.mesh.delete_collection = refuse  # type: ignore[method-assign]

    return let_refuse


def no_list(made: World) -> None:
    """A keeper of this cluster holds the collection, and whether it is gone cannot be found out."""
    kept = CollectionKeptError("kept", metadata={"requester_uid": "uid-0@here/docs"})
    refusing(kept)(made)

    async def denied(_plural: str) -> list[dict[str, object]]:
        raise DeniedError("may not list")

    made.cluster.list = denied  # type: ignore[assignment, method-assign]


async def delete(made: World, operator: Operating, key: Key) -> None:
    made.cluster.delete(key)
    operator.told(key, made.cluster.bodies[key], False)


async def pass_time(made: World, operator: Operating, key: Key, seconds: int) -> None:
    """Look every two seconds, whatever comes of it."""
    for _ in range(seconds // 2):
        with suppress(RagmeshError):
            await operator.look(key)
        await made.clock.advance(2)


# OP-7
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(refusing(ConflictError("changed")), id="it is changed all the time"),
        pytest.param(
            refusing(RequesterOutdatedError("newer")), id="the mesh knows a newer state of it"
        ),
        pytest.param(refusing(InvalidError("never")), id="the mesh never does it"),
        pytest.param(no_list, id="whose it is cannot be found out"),
    ],
)
async def test_a_refusal_that_is_never_over_holds_no_deletion_up(
    trouble: Callable[[World], None],
) -> None:
    made = await world()
    operator = operating(made)
    key = made.cluster.create("handbook", DELETE)
    await operator.look(key)
    trouble(made)
    ending = asyncio.create_task(operator.endings.run())
    await let_run(ending)
    await delete(made, operator, key)
    await pass_time(made, operator, key, 118)
    assert key in made.cluster.bodies
    await pass_time(made, operator, key, 8)
    assert key not in made.cluster.bodies
    assert made.cluster.told[-1][1].reason == "CleanupIncomplete"
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)


# OP-7
async def test_a_deletion_waits_for_no_looks_that_a_silent_mesh_holds_up() -> None:
    made = await world()
    operator = operating(made)
    keys = [made.cluster.create(f"handbook-{number}", DELETE) for number in range(20)]
    for key in keys:
        await operator.look(key)

    async def never(_caller: Machine, _name: str) -> Tenant:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    made.mesh.get_tenant = never  # type: ignore[assignment, method-assign]
    tasks = [asyncio.create_task(one) for one in (operator.rounds.run(), operator.endings.run())]
    for key in keys:
        operator.told(key, made.cluster.bodies[key], False)
    for task in tasks:
        await let_run(task)
    await delete(made, operator, keys[-1])
    await made.clock.advance(126)
    assert set(made.cluster.bodies) == set(keys[:-1])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_operator_that_comes_late_tries_to_clean_up_before_it_gives_up() -> None:
    made = await world()
    key = made.cluster.create("handbook", DELETE)
    await operating(made).look(key)
    made.cluster.delete(key)
    await made.clock.advance(600)

    operator = operating(made)
    ending = asyncio.create_task(operator.endings.run())
    await let_run(ending)
    operator.told(key, made.cluster.bodies[key], False)
    await made.clock.advance(20)
    assert key in made.cluster.bodies
    await operator.look(key)
    assert key not in made.cluster.bodies
    assert not made.mesh.collections
    assert made.cluster.told == []
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)


async def test_what_is_made_anew_under_the_name_of_one_that_went_is_left_alone() -> None:
    made = await world()
    operator = operating(made)
    ending = asyncio.create_task(operator.endings.run())
    await let_run(ending)
    key = made.cluster.create("handbook", DELETE)
    await operator.look(key)
    await delete(made, operator, key)
    gone = made.cluster.bodies.pop(key)
    operator.told(key, gone, True)
    made.cluster.create("handbook", DELETE, uid="second")
    await operator.look(key)
    await made.clock.advance(600)
    assert made.cluster.bodies[key]["metadata"]["finalizers"]
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)


def reads_counted(made: World) -> list[Key]:
    """Whom somebody has read since, in order."""
    read, done = made.cluster.read, list[Key]()

    async def counting(key: Key) -> Mapping[str, Any] | None:
        done.append(key)
        return await read(key)

    made.cluster.read = counting  # type: ignore[method-assign]
    return done


def vanish(made: World, key: Key) -> None:
    """Its end was told to nobody: it came while a watch was being renewed."""
    del made.cluster.bodies[key]


def held_by_others(made: World, key: Key) -> None:
    """It was cleaned up, and somebody else has not let it go."""
    made.cluster.bodies[key]["metadata"]["finalizers"] = ["others.dev/keep"]


@pytest.mark.parametrize("ended", [vanish, held_by_others])
async def test_what_waits_for_no_clean_up_any_more_is_not_read_for_ever(
    ended: Callable[[World, Key], None],
) -> None:
    made = await world()
    operator = operating(made)
    key = made.cluster.create("handbook", DELETE)
    await operator.look(key)
    ending = asyncio.create_task(operator.endings.run())
    await let_run(ending)
    await delete(made, operator, key)
    ended(made, key)
    await made.clock.advance(60)
    reads = reads_counted(made)
    await made.clock.advance(600)
    assert reads == []
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)


async def test_nobody_is_told_that_documents_stay_whose_clean_up_ended_just_before() -> None:
    made = await world()
    key = made.cluster.create("handbook", DELETE)
    await made.look(key)
    made.cluster.delete(key)
    await made.clock.advance(120)
    real = made.cluster.read

    async def read(key: Key) -> Mapping[str, Any] | None:
        """A look ends between this and the write."""
        found, made.cluster.read = await real(key), real  # type: ignore[method-assign]
        await made.look(key)
        return found

    made.cluster.read = read  # type: ignore[method-assign]
    await made.operator.give_up_overdue(key)
    assert key not in made.cluster.bodies
    assert not made.mesh.collections
    assert made.cluster.told == []
