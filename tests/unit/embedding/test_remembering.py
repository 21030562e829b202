"""Vectors are stored behind the answers, and nothing waits for that or fails of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from ragmesh.core.errors import PreconditionError, RagmeshError, UnavailableError
from ragmesh.core.vectors import Vector
from ragmesh.embedding.remembering import VectorMemory
from ragmesh.testing.cache import FakeVectorCache

ONE, TWO = Vector.from_floats([1.0, 0.0]), Vector.from_floats([0.0, 1.0])


class SlowCache(FakeVectorCache):
    """Stores nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        await self.may.wait()
        await super().store_vectors(fingerprint, texts, vectors)


@asynccontextmanager
async def running(memory: VectorMemory) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(memory.run())
        yield
        loop.cancel()


async def turns() -> None:
    """Let the loop go on as far as it can; a fake answers within a turn."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_vector_is_known_while_it_waits_to_be_stored() -> None:
    cache = SlowCache()
    memory = VectorMemory(cache)
    async with running(memory):
        memory.keep("print", [("one", ONE)])
        await turns()
        assert cache.vectors == {}
        assert await memory.lookup("print", ["one", "two"]) == (ONE, None)
        assert await memory.lookup("another", ["one"]) == (None,)
        cache.may.set()
        await turns()
    assert cache.vectors == {("print", "one"): ONE}


async def test_what_comes_while_others_are_stored_is_stored_after_them() -> None:
    cache = SlowCache()
    memory = VectorMemory(cache)
    async with running(memory):
        memory.keep("print", [("one", ONE)])
        await turns()
        memory.keep("print", [("two", TWO)])
        memory.keep("another", [("one", TWO)])
        cache.may.set()
        await turns()
    stored = {("print", "one"): ONE, ("print", "two"): TWO, ("another", "one"): TWO}
    assert cache.vectors == stored


async def test_of_too_many_that_wait_the_oldest_are_forgotten() -> None:
    memory = VectorMemory(FakeVectorCache(), most_waiting=2)
    memory.keep("print", [("one", ONE), ("two", TWO), ("three", ONE)])
    assert await memory.lookup("print", ["one", "two", "three"]) == (None, TWO, ONE)


@pytest.mark.parametrize(
    ("failure", "level"),
    [(UnavailableError("away"), "WARNING"), (PreconditionError("a defect"), "ERROR")],
)
async def test_a_cache_that_does_not_store_is_heard_and_stops_nothing(
    failure: RagmeshError, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = FakeVectorCache(failure=failure, failing=("store",))
    memory = VectorMemory(cache)
    with caplog.at_level(logging.WARNING):
        async with running(memory):
            memory.keep("print", [("one", ONE)])
            await turns()
            cache.failure = None
            memory.keep("print", [("two", TWO)])
            await turns()
    assert cache.vectors == {("print", "two"): TWO}
    assert [(one.levelname, one.__dict__["reason"]) for one in caplog.records] == [
        (level, failure.reason)
    ]
    assert "one" not in caplog.text
