"""Who is let in, who is refused, and that nobody pays for somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ragmesh.core.callers import Principal
from ragmesh.core.errors import (
    ExhaustedError,
    InFlightLimitedError,
    InternalError,
    OverloadedError,
    RateLimitedError,
    UploadLimitedError,
)
from ragmesh.gateway.limiting.gate import Gate, Priority, count_upload
from ragmesh.gateway.limiting.quotas import Allowance, Allowances, EqualQuotas
from ragmesh.testing.clocks import ManualClock

ANN = Principal("t1", "ann", key_id="k-ann")
BOB = Principal("t1", "bob", key_id="k-bob")
EVE = Principal("t2", "eve", key_id="k-eve")


def gate_of(
    clock: ManualClock | None = None,
    *,
    key: Allowance | None = None,
    tenant: Allowance | None = None,
    places: int = 256,
) -> Gate:
    allowances = Allowances(key or Allowance(), tenant or Allowance())
    return Gate(EqualQuotas(allowances), clock or ManualClock(), places=lambda: places)


@pytest.fixture
def inside() -> Iterator[ExitStack]:
    """Requests that stay under way to the end of the test."""
    with ExitStack() as stack:
        yield stack


def enter(
    gate: Gate,
    inside: ExitStack,
    who: Principal = ANN,
    priority: Priority = Priority.INTERACTIVE,
    *,
    uploads: bool = False,
) -> bool:
    try:
        inside.enter_context(gate.admit(gate.approach(who), priority, uploads=uploads))
    except ExhaustedError:
        return False
    return True


def come_and_go(gate: Gate, who: Principal = ANN, *, uploads: int = 0) -> None:
    with gate.admit(gate.approach(who), Priority.INTERACTIVE, uploads=bool(uploads)):
        count_upload(uploads)


async def test_a_key_may_send_its_limit_at_once_and_then_as_much_as_comes_back() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(requests_per_minute=6))
    for _ in range(6):
        come_and_go(gate)
    with pytest.raises(RateLimitedError) as caught:
        come_and_go(gate)
    assert caught.value.retry_after_seconds == 10
    assert caught.value.metadata == {"scope": "key", "limit": "6"}
    await clock.advance(10)
    come_and_go(gate)
    with pytest.raises(RateLimitedError):
        come_and_go(gate)
    await clock.advance(3_600)  # never more than the limit is saved up
    for _ in range(6):
        come_and_go(gate)
    with pytest.raises(RateLimitedError):
        come_and_go(gate)


async def test_whoever_is_refused_may_come_when_it_was_told_to() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(requests_per_minute=7))
    for _ in range(50):
        try:
            come_and_go(gate)
        except RateLimitedError as error:
            await clock.advance(error.retry_after_seconds or 0)
            come_and_go(gate)


def test_a_key_that_is_over_its_limit_costs_another_nothing() -> None:
    gate = gate_of(key=Allowance(requests_per_minute=2))
    for _ in range(2):
        come_and_go(gate, ANN)
    for _ in range(100):
        with pytest.raises(RateLimitedError):
            come_and_go(gate, ANN)
    for _ in range(2):
        come_and_go(gate, BOB)


def test_all_keys_of_a_tenant_share_its_limit_and_no_other_tenant_does() -> None:
    gate = gate_of(tenant=Allowance(requests_per_minute=3))
    for who in (ANN, BOB, ANN):
        come_and_go(gate, who)
    with pytest.raises(RateLimitedError) as caught:
        come_and_go(gate, BOB)
    assert caught.value.metadata["scope"] == "tenant"
    come_and_go(gate, EVE)


def test_a_request_that_its_tenant_refuses_costs_its_key_nothing() -> None:
    gate = gate_of(key=Allowance(requests_per_minute=5), tenant=Allowance(requests_per_minute=1))
    come_and_go(gate, BOB)
    with pytest.raises(RateLimitedError):
        come_and_go(gate, ANN)
    (of_key, _) = gate.approach(ANN).standings()
    assert (of_key.policy, of_key.left) == ("key", 5)


def test_requests_under_way_are_counted_until_they_end(inside: ExitStack) -> None:
    gate = gate_of(key=Allowance(in_flight=2))
    assert enter(gate, inside)
    with gate.admit(gate.approach(ANN), Priority.INTERACTIVE):
        with pytest.raises(InFlightLimitedError) as caught:
            come_and_go(gate)
        assert caught.value.retry_after_seconds == 1
        assert enter(gate, inside, BOB)
    assert enter(gate, inside)


def test_a_request_that_fails_gives_its_place_back() -> None:
    gate = gate_of(key=Allowance(in_flight=1))
    for _ in range(3):
        with pytest.raises(InternalError), gate.admit(gate.approach(ANN), Priority.BULK):
            raise InternalError("it broke")
    assert gate.under_way == 0


async def test_an_upload_is_let_through_and_later_ones_wait_until_it_has_been_made_up_for() -> None:
    clock = ManualClock()
    gate = gate_of(clock, key=Allowance(upload_bytes_per_minute=600))
    come_and_go(gate, uploads=900)
    with pytest.raises(UploadLimitedError) as caught:
        come_and_go(gate, uploads=1)
    assert caught.value.retry_after_seconds == 31  # 300 bytes too many, and one to begin with
    come_and_go(gate)  # a question uploads nothing
    await clock.advance(31)
    come_and_go(gate, uploads=1)


def test_what_a_request_uploads_is_counted_on_its_tenant_too() -> None:
    gate = gate_of(tenant=Allowance(upload_bytes_per_minute=100))
    come_and_go(gate, ANN, uploads=60)
    come_and_go(gate, BOB, uploads=60)
    with pytest.raises(UploadLimitedError):
        come_and_go(gate, ANN, uploads=1)


def test_bytes_outside_of_any_request_are_nobody_s() -> None:
    count_upload(1)


def test_a_flood_of_one_key_never_fills_the_house(inside: ExitStack) -> None:
    gate = gate_of(places=64)
    taken = sum(enter(gate, inside, ANN) for _ in range(1_000))
    assert taken == 32
    with pytest.raises(OverloadedError) as caught:
        come_and_go(gate, ANN)
    assert (caught.value.retry_after_seconds, caught.value.metadata["scope"]) == (1, "key")
    assert enter(gate, inside, BOB)


def test_a_tenant_that_floods_with_many_keys_leaves_room_for_another(inside: ExitStack) -> None:
    gate = gate_of(places=60)
    keys = [Principal("t1", f"s{number}", key_id=f"k{number}") for number in range(100)]
    taken = sum(enter(gate, inside, key) for _ in range(100) for key in keys)
    assert taken == 40
    assert all(enter(gate, inside, EVE) for _ in range(10))


@pytest.mark.parametrize("others", [1, 2, 5, 15])
def test_floods_share_alike_and_the_next_to_come_finds_a_place(
    inside: ExitStack, others: int
) -> None:
    gate = gate_of(places=64)
    floods = [Principal(f"t{number}", "s", key_id="k") for number in range(others)]
    taken = dict.fromkeys(floods, 0)
    for _ in range(200):
        for flood in floods:
            taken[flood] += enter(gate, inside, flood)
    assert max(taken.values()) - min(taken.values()) <= 1
    assert enter(gate, inside, EVE)


def test_bulk_never_takes_the_places_of_those_who_wait(inside: ExitStack) -> None:
    gate = gate_of(places=32)
    senders = [Principal(f"t{number}", "s", key_id="k") for number in range(100)]
    bulk = sum(enter(gate, inside, who, Priority.BULK) for _ in range(9) for who in senders)
    assert bulk == 16
    interactive = sum(enter(gate, inside, who) for who in senders)
    assert interactive == 16


def test_a_house_that_is_full_lets_nobody_in(inside: ExitStack) -> None:
    gate = gate_of(places=8)
    callers = [Principal(f"t{number}", "s") for number in range(20)]
    assert sum(enter(gate, inside, who) for who in callers) == 8
    with pytest.raises(OverloadedError) as caught:
        come_and_go(gate, EVE)
    assert caught.value.metadata["scope"] == "gateway"


def test_each_refusal_is_told_with_its_reason_and_whose_room_it_was(inside: ExitStack) -> None:
    told: list[tuple[str, str]] = []
    quotas = EqualQuotas(Allowances(key=Allowance(1, 1, 1), tenant=Allowance(in_flight=3)))
    gate = Gate(quotas, ManualClock(), places=lambda: 4, on_refusal=lambda *one: told.append(one))
    enter(gate, inside, ANN)
    for who, uploads in ((ANN, False), (BOB, True), (BOB, False)):
        enter(gate, inside, who, uploads=uploads)
    assert told == [("IN_FLIGHT_LIMITED", "key"), ("IN_FLIGHT_LIMITED", "key")]


def test_a_limit_that_changes_holds_for_what_was_used_before() -> None:
    class Changing:
        allowances = Allowances(key=Allowance(requests_per_minute=10))

        def of(self, _principal: Principal) -> Allowances:
            return self.allowances

    quotas = Changing()
    gate = Gate(quotas, ManualClock())
    for _ in range(5):
        come_and_go(gate)
    quotas.allowances = Allowances(key=Allowance(requests_per_minute=5))
    with pytest.raises(RateLimitedError):
        come_and_go(gate)
    quotas.allowances = Allowances(key=Allowance(requests_per_minute=6))
    come_and_go(gate)
