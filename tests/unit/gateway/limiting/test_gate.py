"""Who is let in, who is refused, and that nobody pays for somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import (
    ExhaustedError,
    InFlightLimitedError,
    InternalError,
    KeyRevokedError,
    OverloadedError,
    RateLimitedError,
    UploadLimitedError,
)
from ragmesh.gateway.limiting.gate import (
    HELD_SECONDS,
    UNHELD_REFUSALS,
    Gate,
    Priority,
    count_upload,
)
from ragmesh.gateway.limiting.quotas import Allowance, Allowances, EqualQuotas
from ragmesh.testing.clocks import ManualClock

ANN = Principal("t1", "ann", key_id="k-ann")
BOB = Principal("t1", "bob", key_id="k-bob")
EVE = Principal("t2", "eve", key_id="k-eve")


class Hurried(ManualClock):
    """Sleeps no time: refusals that are held come at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def gate_of(
    clock: ManualClock | None = None,
    *,
    key: Allowance | None = None,
    tenant: Allowance | None = None,
    places: int = 256,
) -> Gate:
    allowances = Allowances(key or Allowance(), tenant or Allowance())
    return Gate(EqualQuotas(allowances), clock or Hurried(), places=lambda: places)


async def fail(gate: Gate) -> None:
    async with gate.admit(gate.approach(ANN), Priority.BULK):
        raise InternalError("it broke")


@pytest.fixture
async def inside() -> AsyncIterator[AsyncExitStack]:
    """Requests that stay under way to the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


async def enter(
    gate: Gate,
    inside: AsyncExitStack,
    who: Principal = ANN,
    priority: Priority = Priority.INTERACTIVE,
    *,
    uploads: bool = False,
) -> bool:
    try:
        await inside.enter_async_context(gate.admit(gate.approach(who), priority, uploads=uploads))
    except ExhaustedError:
        return False
    return True


async def come_and_go(gate: Gate, who: Principal = ANN, *, uploads: int = 0) -> None:
    async with gate.admit(gate.approach(who), Priority.INTERACTIVE, uploads=bool(uploads)):
        count_upload(uploads)


async def test_a_key_may_send_its_limit_at_once_and_then_as_much_as_comes_back() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(requests_per_minute=6))
    for _ in range(6):
        await come_and_go(gate)
    with pytest.raises(RateLimitedError) as caught:
        await come_and_go(gate)
    assert caught.value.retry_after_seconds == 10
    assert caught.value.metadata == {"scope": "key", "limit": "6"}
    await clock.advance(10)
    await come_and_go(gate)
    with pytest.raises(RateLimitedError):
        await come_and_go(gate)
    await clock.advance(3_600)  # never more than the limit is saved up
    for _ in range(6):
        await come_and_go(gate)
    with pytest.raises(RateLimitedError):
        await come_and_go(gate)


async def test_whoever_is_refused_may_come_when_it_was_told_to() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(requests_per_minute=7))
    refused = 0
    for _ in range(50):
        try:
            await come_and_go(gate)
        except RateLimitedError as error:
            refused += 1
            await clock.advance(error.retry_after_seconds or 0)
            await come_and_go(gate)
    assert refused >= 5


async def test_a_key_that_is_over_its_limit_costs_another_nothing() -> None:
    gate = gate_of(key=Allowance(requests_per_minute=2))
    for _ in range(2):
        await come_and_go(gate, ANN)
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            await come_and_go(gate, ANN)
    for _ in range(2):
        await come_and_go(gate, BOB)


async def test_all_keys_of_a_tenant_share_its_limit_and_no_other_tenant_does() -> None:
    gate = gate_of(tenant=Allowance(requests_per_minute=3))
    for who in (ANN, BOB, ANN):
        await come_and_go(gate, who)
    with pytest.raises(RateLimitedError) as caught:
        await come_and_go(gate, BOB)
    assert caught.value.metadata["scope"] == "tenant"
    await come_and_go(gate, EVE)


async def test_a_request_that_its_tenant_refuses_costs_its_key_nothing() -> None:
    gate = gate_of(key=Allowance(requests_per_minute=5), tenant=Allowance(requests_per_minute=1))
    await come_and_go(gate, BOB)
    with pytest.raises(RateLimitedError):
        await come_and_go(gate, ANN)
    (of_key, _) = gate.approach(ANN).standings()
    assert (of_key.policy, of_key.left) == ("key", 5)


async def test_requests_under_way_are_counted_until_they_end(inside: AsyncExitStack) -> None:
    gate = gate_of(key=Allowance(in_flight=2))
    assert await enter(gate, inside)
    async with gate.admit(gate.approach(ANN), Priority.INTERACTIVE):
        with pytest.raises(InFlightLimitedError) as caught:
            await come_and_go(gate)
        assert caught.value.retry_after_seconds == 1
        assert await enter(gate, inside, BOB)
    assert await enter(gate, inside)


async def test_a_request_that_fails_gives_its_place_back() -> None:
    gate = gate_of(key=Allowance(in_flight=1))
    for _ in range(3):
        with pytest.raises(InternalError):
            await fail(gate)
    assert gate.under_way == 0


async def test_an_upload_is_let_through_and_later_ones_wait_until_it_has_been_made_up_for() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(upload_bytes_per_minute=600))
    await come_and_go(gate, uploads=900)
    with pytest.raises(UploadLimitedError) as caught:
        await come_and_go(gate, uploads=1)
    assert caught.value.retry_after_seconds == 31  # 300 bytes too many, and one to begin with
    await come_and_go(gate)  # a question uploads nothing
    await clock.advance(31)
    await come_and_go(gate, uploads=1)


async def test_what_a_request_uploads_is_counted_on_its_tenant_too() -> None:
    gate = gate_of(tenant=Allowance(upload_bytes_per_minute=100))
    await come_and_go(gate, ANN, uploads=60)
    await come_and_go(gate, BOB, uploads=60)
    with pytest.raises(UploadLimitedError):
        await come_and_go(gate, ANN, uploads=1)


async def test_bytes_outside_of_any_request_are_nobody_s() -> None:
    gate = gate_of(tenant=Allowance(upload_bytes_per_minute=100))
    await come_and_go(gate, ANN, uploads=60)
    count_upload(1_000)
    await come_and_go(gate, ANN, uploads=1)
    for who in (ANN, BOB):
        (standing,) = gate.approach(who).standings()
        assert standing.left == 39


async def test_a_flood_of_one_key_never_fills_the_house(inside: AsyncExitStack) -> None:
    gate = gate_of(places=64)
    taken = sum([await enter(gate, inside, ANN) for _ in range(1_000)])
    assert taken == 32
    with pytest.raises(OverloadedError) as caught:
        await come_and_go(gate, ANN)
    assert (caught.value.retry_after_seconds, caught.value.metadata["scope"]) == (1, "key")
    assert await enter(gate, inside, BOB)


async def test_a_tenant_that_floods_with_many_keys_leaves_room_for_another(
    inside: AsyncExitStack,
) -> None:
    gate = gate_of(places=60)
    keys = [Principal("t1", f"s{number}", key_id=f"k{number}") for number in range(100)]
    taken = sum([await enter(gate, inside, key) for _ in range(100) for key in keys])
    assert taken == 40
    assert all([await enter(gate, inside, EVE) for _ in range(10)])


@pytest.mark.parametrize("others", [1, 2, 5, 15])
async def test_floods_share_alike_and_the_next_to_come_finds_a_place(
    inside: AsyncExitStack, others: int
) -> None:
    gate = gate_of(places=64)
    floods = [Principal(f"t{number}", "s", key_id="k") for number in range(others)]
    taken = dict.fromkeys(floods, 0)
    for _ in range(200):
        for flood in floods:
            taken[flood] += await enter(gate, inside, flood)
    assert max(taken.values()) - min(taken.values()) <= 1
    assert await enter(gate, inside, EVE)


async def test_bulk_never_takes_the_places_of_those_who_wait(inside: AsyncExitStack) -> None:
    gate = gate_of(places=32)
    senders = [Principal(f"t{number}", "s", key_id="k") for number in range(100)]
    bulk = sum([await enter(gate, inside, who, Priority.BULK) for _ in range(9) for who in senders])
    assert bulk == 16
    interactive = sum([await enter(gate, inside, who) for who in senders])
    assert interactive == 16


async def test_a_house_that_is_full_lets_nobody_in(inside: AsyncExitStack) -> None:
    gate = gate_of(places=8)
    callers = [Principal(f"t{number}", "s") for number in range(20)]
    assert sum([await enter(gate, inside, who) for who in callers]) == 8
    with pytest.raises(OverloadedError) as caught:
        await come_and_go(gate, EVE)
    assert caught.value.metadata["scope"] == "gateway"


async def test_each_refusal_is_told_with_its_reason_and_whose_room_it_was(
    inside: AsyncExitStack,
) -> None:
    told: list[tuple[str, str]] = []
    quotas = EqualQuotas(Allowances(key=Allowance(1, 1, 1), tenant=Allowance(in_flight=3)))
    gate = Gate(quotas, ManualClock(), places=lambda: 4, on_refusal=lambda *one: told.append(one))
    await enter(gate, inside, ANN)
    for who, uploads in ((ANN, False), (BOB, True), (BOB, False)):
        await enter(gate, inside, who, uploads=uploads)
    assert told == [("IN_FLIGHT_LIMITED", "key"), ("IN_FLIGHT_LIMITED", "key")]


async def test_a_key_that_goes_on_although_it_is_refused_waits_for_its_refusals() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(requests_per_minute=1))
    await come_and_go(gate)
    for _ in range(UNHELD_REFUSALS):
        with pytest.raises(RateLimitedError):
            await come_and_go(gate)
    async with asyncio.TaskGroup() as group:
        held = group.create_task(enter(gate, AsyncExitStack()))
        await clock.until_asleep()
        await come_and_go(gate, BOB)
        assert not held.done()
        await clock.advance(1.5 * HELD_SECONDS)
        assert held.result() is False
    await clock.advance(60)
    await come_and_go(gate)
    with pytest.raises(RateLimitedError):
        await come_and_go(gate)


async def test_a_gateway_that_is_full_says_so_at_once_however_often(inside: AsyncExitStack) -> None:
    gate = gate_of(places=8)
    for number in range(8):
        assert await enter(gate, inside, Principal(f"t{number}", "s"))
    for _ in range(3 * UNHELD_REFUSALS):
        assert not await enter(gate, inside, EVE)


async def test_a_limit_that_changes_holds_for_what_was_used_before() -> None:
    class Changing:
        allowances = Allowances(key=Allowance(requests_per_minute=10))

        def of(self, _principal: Principal) -> Allowances:
            return self.allowances

    quotas = Changing()
    gate = Gate(quotas, ManualClock())
    for _ in range(5):
        await come_and_go(gate)
    quotas.allowances = Allowances(key=Allowance(requests_per_minute=5))
    with pytest.raises(RateLimitedError):
        await come_and_go(gate)
    quotas.allowances = Allowances(key=Allowance(requests_per_minute=6))
    await come_and_go(gate)


async def test_who_would_not_be_let_in_any_more_is_turned_out_and_nobody_else() -> None:
    gate, begun = gate_of(), asyncio.Semaphore(0)

    async def stay(principal: Principal) -> None:
        async with gate.admit(gate.approach(principal), Priority.INTERACTIVE):
            begun.release()
            await asyncio.Event().wait()

    revoked, kept = (asyncio.ensure_future(stay(one)) for one in (ANN, BOB))
    await begun.acquire()
    await begun.acquire()
    gate.turn_out(lambda one: KeyRevokedError("revoked") if one == ANN else None)
    with pytest.raises(KeyRevokedError):
        await revoked
    assert (gate.under_way, kept.done()) == (1, False)
    kept.cancel()
    with pytest.raises(asyncio.CancelledError):
        await kept


async def test_who_leaves_while_being_turned_out_has_left() -> None:
    gate, begun = gate_of(), asyncio.Event()

    async def stay() -> None:
        async with gate.admit(gate.approach(ANN), Priority.INTERACTIVE):
            begun.set()
            await asyncio.Event().wait()

    staying = asyncio.ensure_future(stay())
    await begun.wait()
    gate.turn_out(lambda _: KeyRevokedError("revoked"))
    staying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await staying
