from __future__ import annotations

import asyncio

import pytest

from ragmesh.chassis.callers import calling, current_caller
from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.errors import UnauthenticatedError

ANNA = Principal("tenant-1", "anna")


def test_outside_of_a_call_nobody_is_known() -> None:
    with pytest.raises(UnauthenticatedError):
        current_caller()


def test_the_caller_is_known_until_the_call_has_ended() -> None:
    with calling(ANNA):
        assert current_caller() == ANNA
        with calling(Machine("indexer")):
            assert current_caller() == Machine("indexer")
        assert current_caller() == ANNA
    with pytest.raises(UnauthenticatedError):
        current_caller()


def test_a_call_without_a_caller_does_not_inherit_one() -> None:
    with calling(ANNA), calling(None), pytest.raises(UnauthenticatedError):
        current_caller()


async def test_calls_side_by_side_do_not_see_each_other() -> None:
    async def served(caller: Caller) -> Caller:
        with calling(caller):
            await asyncio.sleep(0)
            return current_caller()

    callers = [Principal("tenant-1", f"user-{number}") for number in range(20)]
    assert await asyncio.gather(*map(served, callers)) == callers
