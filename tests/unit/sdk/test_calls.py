"""A call is made again when that may help, and a change stays one change."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ragmesh.chassis.requests import current_idempotency_key, remaining_seconds
from ragmesh.core.errors import (
    ConflictError,
    DeadlineError,
    ExhaustedError,
    InvalidError,
    RagmeshError,
    UnavailableError,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.sdk.aio import calls as aio
from ragmesh.sdk.aio.mesh import AsyncMesh
from ragmesh.sdk.blocking import calls as blocking
from ragmesh.sdk.blocking.mesh import Mesh
from ragmesh.sdk.options import CallOptions

AWAY, FULL = UnavailableError("away"), ExhaustedError("full")
AT_ONCE = CallOptions(first_delay_seconds=0.0)


async def no_pause(_seconds: float) -> None:
    """Time is not what these tests are about."""


@dataclass
class Work:
    """Fails as it is told, then returns 1; it remembers what was in force."""

    failures: list[RagmeshError]
    keys: list[str] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)

    def do(self) -> int:
        self.keys.append(current_idempotency_key())
        self.seconds.append(remaining_seconds())
        if self.failures:
            raise self.failures.pop(0)
        return 1

    async def do_later(self) -> int:
        return self.do()


Caller = Callable[[str, CallOptions, Work], Awaitable[int]]


@pytest.fixture(params=["aio", "blocking"])
def call(request: pytest.FixtureRequest) -> Caller:
    async def call_aio(how: str, options: CallOptions, work: Work) -> int:
        made: Any = getattr(aio.Calls(options, no_pause), how)
        result: int = await made(work.do_later)
        return result

    async def call_blocking(how: str, options: CallOptions, work: Work) -> int:
        made: Any = getattr(blocking.Calls(options, lambda _seconds: None), how)
        result: int = await asyncio.to_thread(made, work.do)
        return result

    return call_aio if request.param == "aio" else call_blocking


@pytest.mark.parametrize("how", ["read", "change"])
async def test_who_is_away_or_full_is_asked_again(call: Caller, how: str) -> None:
    work = Work([AWAY, FULL])
    assert await call(how, AT_ONCE, work) == 1
    assert len(work.keys) == 3


async def test_attempts_are_counted(call: Caller) -> None:
    work = Work([AWAY] * 4)
    with pytest.raises(UnavailableError):
        await call("read", AT_ONCE, work)
    assert len(work.keys) == AT_ONCE.attempts


async def test_in_an_outage_hardly_anything_is_tried_again() -> None:  # RL-3
    calls, work = aio.Calls(AT_ONCE, no_pause), Work([AWAY] * 1_000)
    for _ in range(100):
        with pytest.raises(UnavailableError):
            await calls.read(work.do_later)
    assert len(work.keys) <= 110


async def test_who_is_full_and_says_until_when_is_asked_again_then() -> None:
    full = ExhaustedError("full", retry_after_seconds=0.01)
    calls, work = aio.Calls(AT_ONCE, no_pause), Work([full] * 12)
    for _ in range(3):
        with pytest.raises(ExhaustedError):
            await calls.read(work.do_later)
    assert len(work.keys) == 3 * AT_ONCE.attempts


@pytest.mark.parametrize("error", [InvalidError("no"), ConflictError("no"), DeadlineError("no")])
async def test_what_would_fail_again_is_not_asked_again(call: Caller, error: RagmeshError) -> None:
    work = Work([error])
    with pytest.raises(type(error)):
        await call("change", AT_ONCE, work)
    assert len(work.keys) == 1


async def test_all_attempts_of_a_change_carry_one_key_and_the_next_change_another(
    call: Caller,
) -> None:
    first, second = Work([AWAY, AWAY]), Work([])
    await call("change", AT_ONCE, first)
    await call("change", AT_ONCE, second)
    assert len(set(first.keys)) == 1
    assert first.keys[0]
    assert second.keys != first.keys[:1]


async def test_a_key_of_the_callers_own_is_sent(call: Caller) -> None:
    work = Work([])
    await call("change", CallOptions(idempotency_key="import-7"), work)
    assert work.keys == ["import-7"]


async def test_a_read_carries_no_key(call: Caller) -> None:
    work = Work([])
    await call("read", AT_ONCE, work)
    assert work.keys == [""]


async def test_attempts_share_one_deadline(call: Caller) -> None:
    work = Work([AWAY])
    await call("read", CallOptions(timeout_seconds=5, first_delay_seconds=0.0), work)
    first, second = work.seconds
    assert first is not None
    assert second is not None
    assert 0 < second <= first <= 5


async def test_a_delay_that_outlasts_the_deadline_is_not_waited_for(call: Caller) -> None:
    work = Work([ExhaustedError("full", retry_after_seconds=30)])
    with pytest.raises(ExhaustedError):
        await call("read", CallOptions(timeout_seconds=5), work)
    assert len(work.keys) == 1


def test_pauses_double_up_to_the_longest_and_the_servers_word_goes_before() -> None:
    options = CallOptions(attempts=100, first_delay_seconds=0.1, longest_delay_seconds=1.0)
    pauses = [options.delay_after(AWAY, attempt, 1.0) for attempt in (1, 2, 3, 4, 5, 99)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert options.delay_after(AWAY, 3, 0.5) == 0.2
    assert options.delay_after(ExhaustedError("", retry_after_seconds=7), 1, 0.0) == 7


@pytest.mark.parametrize("wrong", [{"timeout_seconds": 0}, {"attempts": 0}])
def test_options_that_allow_no_call_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        CallOptions(**wrong)


async def test_a_stream_is_begun_again_until_its_first_event_and_never_after() -> None:
    begun = []

    async def events() -> AsyncGenerator[int, None]:
        begun.append(remaining_seconds())
        if len(begun) == 1:
            raise AWAY
        yield 1
        raise UnavailableError("broke off")

    stream = aio.Calls(AT_ONCE, no_pause).stream(events, timeout_seconds=5)
    assert await anext(stream) == 1
    assert remaining_seconds() is None  # whoever reads is not under its deadline
    with pytest.raises(UnavailableError, match="broke off"):
        await anext(stream)
    assert len(begun) == 2


def test_a_blocking_stream_does_the_same_and_is_closed_by_who_leaves_it() -> None:
    begun, closed = [], []

    def events() -> Generator[int, None, None]:
        begun.append(1)
        if len(begun) == 1:
            raise AWAY
        try:
            yield 1
            yield 2
        finally:
            closed.append(1)

    stream = blocking.Calls(AT_ONCE, lambda _seconds: None).stream(events, timeout_seconds=5)
    assert next(stream) == 1
    stream.close()
    assert (len(begun), closed) == (2, [1])


async def test_a_page_is_read_when_its_first_item_is_wanted() -> None:
    asked = []

    async def read(page: PageRequest) -> Page[int]:
        asked.append(page.token)
        return Page((1, 2), "next") if not page.token else Page((3,))

    items = aio.Calls(AT_ONCE, no_pause).each(read)
    assert [await anext(items), await anext(items)] == [1, 2]
    assert asked == [""]
    assert [item async for item in items] == [3]


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Mesh) == methods(AsyncMesh)
    assert len(methods(Mesh)) > 25
