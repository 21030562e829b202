"""The fake for consumers waits and fails when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from ragmesh.core.answers import Delta
from ragmesh.core.callers import Principal
from ragmesh.core.errors import UnavailableError
from ragmesh.testing.generation import FakeGenerator, ask_of

CALLER = Principal("tenant", "alice")
ANSWERABLE = ask_of("Do dogs bark?", ["Dogs bark."])


async def test_the_fake_waits_in_mid_answer_and_sees_its_caller_go_away() -> None:
    fake = FakeGenerator(hold=asyncio.Event())
    stream = fake.generate(CALLER, ANSWERABLE)
    await anext(stream)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(stream))
        await fake.begun.wait()
        waiting.cancel()
    assert waiting.cancelled()
    assert fake.closed


async def test_the_fake_fails_when_it_is_told_to() -> None:
    fake = FakeGenerator(error=UnavailableError("away"))
    with pytest.raises(UnavailableError):
        [event async for event in fake.generate(CALLER, ask_of("x", []))]
    stream = fake.generate(CALLER, ANSWERABLE)
    assert isinstance(await anext(stream), Delta)
    with pytest.raises(UnavailableError):
        await anext(stream)
