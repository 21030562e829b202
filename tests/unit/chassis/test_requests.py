from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import copy_context

import pytest

from ragmesh.chassis.requests import (
    accept_request_id,
    apart,
    checkpoint,
    current_request_id,
    remaining_seconds,
    serving,
)
from ragmesh.core.errors import DeadlineError


def test_outside_of_a_request_there_is_neither_id_nor_deadline() -> None:
    assert current_request_id() == ""
    assert remaining_seconds() is None


def test_the_request_ends_with_its_block() -> None:
    with serving("outer"):
        with serving("inner"):
            assert current_request_id() == "inner"
        assert current_request_id() == "outer"
    assert current_request_id() == ""


def test_a_nested_request_gets_no_more_time_than_the_outer_one() -> None:
    with serving("outer", timeout_seconds=5), serving("inner", timeout_seconds=50) as inner:
        assert 0 < (inner.remaining_seconds() or 0) <= 5
    with serving("outer", timeout_seconds=50), serving("inner", timeout_seconds=5):
        assert 0 < (remaining_seconds() or 0) <= 5
    with serving("outer", timeout_seconds=5), serving("inner"):
        assert 0 < (remaining_seconds() or 0) <= 5


async def test_requests_side_by_side_do_not_see_each_other() -> None:
    async def served(request_id: str) -> str:
        with serving(request_id):
            await asyncio.sleep(0)
            return current_request_id()

    one, other = await asyncio.gather(served("a"), served("b"))
    assert (one, other) == ("a", "b")


async def test_an_abandoned_stream_may_be_closed_in_another_context() -> None:
    async def stream() -> AsyncIterator[int]:
        with serving("r"):
            yield 1
            yield 2

    replies = stream()
    assert await anext(replies) == 1

    async def close() -> None:
        await replies.aclose()  # type: ignore[attr-defined]

    await asyncio.gather(close())  # a task, and so a context, of its own


def test_work_goes_on_while_somebody_waits() -> None:
    checkpoint()
    with serving("r"):
        checkpoint()
    with serving("r", timeout_seconds=50):
        checkpoint()


def test_work_whose_time_ran_out_stops_at_its_checkpoint() -> None:
    with serving("r", timeout_seconds=-1), pytest.raises(DeadlineError):
        checkpoint()


def test_work_that_outlives_its_request_stops_at_its_checkpoint() -> None:
    with serving("r"):
        thread = copy_context()
    with pytest.raises(DeadlineError):
        thread.run(checkpoint)


def test_work_that_others_wait_for_has_time_of_its_own_and_outlives_who_began_it() -> None:
    with serving("first", timeout_seconds=0.0) as request:
        shared = copy_context()
    assert request.over

    def work() -> None:
        with pytest.raises(DeadlineError):
            checkpoint()
        with apart(60.0) as own:
            assert current_request_id() == "first"
            assert (remaining_seconds() or 0) > 50
            checkpoint()
        assert own.over

    shared.run(work)


@pytest.mark.parametrize("offered", ["r-1", "0af7651916cd43dd8448eb211c80319c", "a.b:c_d-e"])
def test_a_plain_id_is_kept(offered: str) -> None:
    assert accept_request_id(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "a b", "a\nb", "-a", "ä", "x" * 129])
def test_a_missing_or_strange_id_is_replaced(offered: str | None) -> None:
    assert accept_request_id(offered) not in (offered, "")
    assert accept_request_id(offered) != accept_request_id(offered)
