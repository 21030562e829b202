"""What a member holds is committed in the order of Kafka, in whatever order it is finished."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.events import Event
from ragmesh.chassis.events.consuming import Lease
from ragmesh.chassis.events.kafka.held import HeldEvents, Room
from ragmesh.chassis.events.kafka.offsets import Progress, Tries
from ragmesh.chassis.events.port import Cause, DeadLetter
from ragmesh.chassis.events.retrying import Retry
from ragmesh.core.errors import TopicMissingError
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import GROUP, happened, time_passing


def holding(count: int, *, partitions: int = 1, room: Room | None = None) -> HeldEvents:
    """Events 0, 1, 2 … of each partition."""
    held = HeldEvents(GROUP, ManualClock(), room)
    for partition in range(partitions):
        held.open(partition, Progress(0, 0))
        for offset in range(count):
            held.add(partition, offset, happened(f"{partition}/{offset}"))
    return held


async def take(held: HeldEvents, limit: int = 100) -> dict[str, Lease]:
    return {lease.event.key: lease for lease in (await held.take(limit)).leases}


async def finish(held: HeldEvents, lease: Lease) -> None:
    await held.finish(lease)
    held.release(lease)


@given(st.permutations(range(8)))
async def test_the_lowest_unfinished_is_committed_in_whatever_order_they_finish(
    order: list[int],
) -> None:
    held = holding(8)
    leases = await take(held)
    left = set(range(8))
    for offset in order:
        await finish(held, leases[f"0/{offset}"])
        left.discard(offset)
        progress = held.uncommitted()[0]
        assert progress.offset == min(left, default=8)
        assert {one for one in range(8) if progress.tries_of(one) is None} | left == set(range(8))


async def test_whoever_comes_next_passes_over_what_was_finished_and_knows_the_attempts() -> None:
    held = holding(3)
    leases = await take(held)
    await held.postpone(leases["0/0"], Retry(5.0, is_strike=True))
    held.release(leases["0/0"])
    await finish(held, leases["0/1"])
    words = held.uncommitted()[0].write()
    heir = HeldEvents(GROUP, ManualClock())
    heir.open(0, Progress.read(0, words))
    for offset in range(4):
        heir.add(0, offset, happened(f"0/{offset}"))
    taken = await take(heir)
    assert sorted(taken) == ["0/0", "0/2", "0/3"]
    assert (taken["0/0"].attempts, taken["0/0"].strikes) == (1, 1)


async def test_an_heir_who_commits_early_forgets_nothing_of_what_was_done_before() -> None:
    heir = HeldEvents(GROUP, ManualClock())
    heir.open(0, Progress(0, 10, {0: Tries(), 7: Tries(2, 1)}))
    heir.add(0, 0, happened("0/0"))
    await finish(heir, (await take(heir))["0/0"])
    assert heir.uncommitted()[0] == Progress(7, 10, {7: Tries(2, 1)})


async def test_a_log_that_begins_anew_is_delivered_from_its_start() -> None:
    held = HeldEvents(GROUP, ManualClock())
    held.open(0, Progress(50, 90))
    held.add(0, 3, happened("new"))
    held.add(0, 60, happened("newer"))
    assert sorted(await take(held)) == ["new", "newer"]


async def test_what_was_held_of_a_former_log_does_not_pass_for_what_is_new() -> None:
    held = holding(3)
    former = await take(held, 2)
    for offset in range(3):
        held.add(0, offset, happened(f"new/{offset}"))
    await finish(held, former["0/0"])
    await held.postpone(former["0/1"], Retry(5.0, is_strike=True))
    assert held.uncommitted()[0] == Progress(0, 3, {one: Tries() for one in range(3)})
    found = await take(held)
    assert sorted(found) == ["new/0", "new/1", "new/2"]
    for lease in found.values():
        await finish(held, lease)
    assert held.is_empty


async def test_an_interrupted_event_is_taken_again_and_was_no_attempt() -> None:
    held = holding(1)
    held.release((await take(held))["0/0"])
    assert (await take(held))["0/0"].attempts == 0


async def test_a_partition_that_goes_hands_out_nothing_more_and_holds_up_no_other() -> None:
    held = holding(3, partitions=2)
    leases = await take(held, 1)
    held.wind_up({0})
    assert set(await take(held)) == {"1/0", "1/1", "1/2"}
    assert held.close({0}) == {leases["0/0"].position}
    await held.finish(leases["0/0"])
    assert set(held.uncommitted()) == {1}


async def test_a_partition_is_idle_once_the_last_of_its_events_is_released() -> None:
    held = holding(2)
    leases = await take(held)
    waiting = asyncio.create_task(held.idle({0}))
    for lease in leases.values():
        await asyncio.sleep(0)
        assert not waiting.done()
        await finish(held, lease)
    await asyncio.wait_for(waiting, 1)


async def test_taking_stops_at_its_bound_and_goes_on_at_half_of_it() -> None:
    held = holding(4, room=Room(fresh=4, held=8))
    assert held.room == 0
    await take(held, 2)
    assert held.room > 0
    assert held.is_roomy
    await take(held)
    for offset in range(4, 7):
        held.add(0, offset, happened(f"0/{offset}"))
    assert held.room > 0
    held.add(0, 7, happened("0/7"))
    assert held.room == 0


async def test_a_dead_letter_topic_that_is_away_takes_no_room_and_loses_no_letter() -> None:
    clock = ManualClock()
    held = HeldEvents(GROUP, clock)
    held.open(0, Progress(0, 0))
    for offset in range(2):
        held.add(0, offset, happened(f"0/{offset}"))
    buried: list[Event] = []
    refusals, ended = [TopicMissingError("not there")] * 3, asyncio.Event()

    async def append(event: Event) -> None:
        if refusals:
            raise refusals.pop()
        buried.append(event)
        ended.set()

    leases = await take(held)
    async with asyncio.TaskGroup() as tasks, time_passing(clock):
        burying = tasks.create_task(held.bury(append))
        await held.give_up(leases["0/0"], Cause("UNREADABLE", 1))
        held.release(leases["0/0"])
        await finish(held, leases["0/1"])
        assert held.uncommitted()[0] == Progress(0, 2, {0: Tries()})
        await ended.wait()
        await asyncio.sleep(0)
        burying.cancel()
    assert [DeadLetter.of(event).cause.reason for event in buried] == ["UNREADABLE"]
    assert held.uncommitted()[0].offset == 2
    assert held.is_empty


async def test_what_is_to_be_buried_when_its_partition_goes_is_left_to_the_heir() -> None:
    held = holding(1)
    lease = (await take(held))["0/0"]
    await held.give_up(lease, Cause("UNREADABLE", 1))
    held.release(lease)
    held.close({0})
    buried: list[Event] = []

    async def append(event: Event) -> None:
        buried.append(event)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await held.bury(append)
    assert not buried


async def test_a_lease_of_a_partition_that_came_back_is_worth_nothing() -> None:
    held = holding(1)
    old = (await take(held))["0/0"]
    held.close({0})
    held.open(0, Progress(0, 0))
    held.add(0, 0, happened("0/0"))
    await held.finish(old)
    await held.postpone(replace(old, attempts=9), Retry(1.0, is_strike=False))
    held.release(old)
    assert (await take(held))["0/0"].attempts == 0
