"""The promises of every event log, whatever it is made of."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ragmesh.chassis.events.port import DEAD_SUFFIX, Cause, DeadLetter, Delivery, Event, EventLog
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidError, UnavailableError
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.events import (
    GROUP,
    TOPIC,
    Inbox,
    consuming,
    happened,
    time_passing,
    until_together,
)


class OpenLog(Protocol):
    """Opens the event log of one place; the same place again is a restart."""

    def __call__(self, clock: Clock) -> AbstractAsyncContextManager[EventLog]:
        """The log for the time of the block."""


class EventLogContract:
    """Every event log keeps these promises; subclass it and say how one is opened."""

    def opener(self) -> OpenLog:
        """How the log of a fresh place is opened, again and again."""
        raise NotImplementedError

    async def until_shared(self, members: int) -> None:
        """Return once so many consumers of `GROUP` share `TOPIC`: some logs need time for it."""

    async def test_an_event_arrives_as_it_was_sent(self) -> None:
        sent = Event(TOPIC, "t/c/d", b"\x00\xff", (("a", "1"), ("b", "ü")))
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([sent])
            await inbox.until(1)
        assert inbox.deliveries[0].event == sent
        assert inbox.deliveries[0].attempt == 1

    async def test_only_the_topic_asked_for_is_delivered(self) -> None:
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([Event("another", "x", b""), happened("mine")])
            await inbox.until(1)
        assert inbox.keys == ["mine"]

    async def test_what_was_handled_does_not_come_again_after_a_restart(self) -> None:
        open_log, first, second = self.opener(), Inbox(), Inbox()
        clock = ManualClock()
        async with open_log(clock) as log:
            await log.append([happened("a"), happened("b")])
            async with consuming(log, first, max_in_flight=1):
                # With one at a time, the third is taken only after the second was finished.
                await log.append([happened("c")])
                await first.until(3)
        async with open_log(clock) as log, consuming(log, second):
            await log.append([happened("d")])
            await second.until(1)
        assert {"a", "b"}.isdisjoint(second.keys)

    async def test_what_was_appended_before_a_restart_is_delivered_after_it(self) -> None:
        open_log, inbox = self.opener(), Inbox()
        async with open_log(ManualClock()) as log:
            await log.append([happened("a")])
        async with open_log(ManualClock()) as log, consuming(log, inbox):
            await inbox.until(1)
        assert inbox.keys == ["a"]

    async def test_an_interrupted_event_comes_again_and_that_is_no_failed_attempt(self) -> None:
        open_log, first, second = self.opener(), Inbox(), Inbox()
        first.gate.clear()
        async with open_log(ManualClock()) as log, consuming(log, first):
            await log.append([happened("a")])
            await first.until(1)
        async with open_log(ManualClock()) as log, consuming(log, second):
            await second.until(1)
        assert [(d.event.key, d.attempt) for d in second.deliveries] == [("a", 1)]

    async def test_a_consumer_that_starts_again_gets_what_the_last_one_left(self) -> None:
        first, second = Inbox(), Inbox()
        first.gate.clear()
        async with self.opener()(ManualClock()) as log:
            await log.append([happened("a")])
            async with consuming(log, first):
                await first.until(1)
            async with consuming(log, second):
                await second.until(1)
        assert second.keys == ["a"]

    async def test_every_group_gets_every_event_from_the_earliest_on(self) -> None:
        one, other = Inbox(), Inbox()
        async with self.opener()(ManualClock()) as log:
            await log.append([happened("a"), happened("b")])
            async with consuming(log, one, group="one"):
                await one.until(2)
            async with consuming(log, other, group="other"):
                await other.until(2)
        assert sorted(one.keys) == sorted(other.keys) == ["a", "b"]

    async def test_consumers_of_one_group_share_its_events(self) -> None:
        one, other = Inbox(), Inbox()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, one, max_in_flight=1),
            consuming(log, other, max_in_flight=1),
        ):
            await self.until_shared(2)
            keys = [str(number) for number in range(40)]
            await log.append([happened(key) for key in keys])
            await until_together(40, one, other)
            # Both are at work: what the one is given, the other is not.
            assert sorted(one.keys + other.keys) == sorted(keys)
            assert one.keys
            assert other.keys

    async def test_a_slow_event_holds_up_none_of_the_others(self) -> None:
        slow = asyncio.Event()
        inbox = Inbox()

        async def handle(delivery: Delivery) -> None:
            if delivery.event.key == "slow":
                await slow.wait()
            await inbox(delivery)

        async with self.opener()(ManualClock()) as log, consuming(log, handle, max_in_flight=2):
            await log.append([happened("slow"), *(happened(str(n)) for n in range(10))])
            await inbox.until(10)
            assert "slow" not in inbox.keys
            slow.set()
            await inbox.until(11)

    async def test_no_more_are_handled_at_once_than_allowed(self) -> None:
        inbox = Inbox()
        inbox.gate.clear()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox, max_in_flight=3):
            await log.append([happened(str(number)) for number in range(9)])
            await inbox.until(3)
            inbox.gate.set()
            await inbox.until(9)
        assert inbox.most_at_once == 3

    async def test_a_transient_error_is_retried_for_as_long_as_it_takes(self) -> None:
        clock = ManualClock()
        inbox = Inbox(lambda d: UnavailableError("away") if d.attempt < 8 else None)
        async with self.opener()(clock) as log, consuming(log, inbox), time_passing(clock):
            await log.append([happened("a")])
            await inbox.until(8)
        assert [delivery.attempt for delivery in inbox.deliveries] == list(range(1, 9))

    async def test_a_retry_waits_its_delay_and_no_shorter_than_the_error_asks(self) -> None:
        clock = ManualClock()
        errors = {1: UnavailableError("away", retry_after_seconds=30.0)}
        inbox = Inbox(lambda d: errors.get(d.attempt))
        async with self.opener()(clock) as log, consuming(log, inbox):
            await log.append([happened("a")])
            await inbox.until(1)
            await clock.until_asleep()
            await clock.advance(29.9)
            assert len(inbox.deliveries) == 1
            await clock.until_asleep()
            await clock.advance(0.2)
            await inbox.until(2)

    async def test_a_clock_that_is_set_back_delays_no_retry(self) -> None:
        clock = ManualClock()
        inbox = Inbox(lambda d: UnavailableError("away") if d.attempt == 1 else None)
        async with self.opener()(clock) as log, consuming(log, inbox):
            await log.append([happened("a")])
            await inbox.until(1)
            await clock.until_asleep()
            clock.set_back(86_400)
            await clock.advance(61)
            await inbox.until(2)

    async def test_retries_leave_room_for_other_events(self) -> None:
        inbox = Inbox(lambda d: UnavailableError("away") if d.event.key == "sick" else None)
        async with self.opener()(ManualClock()) as log, consuming(log, inbox, max_in_flight=1):
            await log.append([happened("sick"), happened("sick"), happened("well")])
            await inbox.until(3)
        assert sorted(inbox.keys) == ["sick", "sick", "well"]

    async def test_a_permanent_error_sends_the_event_to_the_dead_letters_at_once(self) -> None:
        inbox = Inbox(lambda d: InvalidError("no") if d.event.key == "bad" else None)
        dead = Inbox()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
        ):
            bad = happened("bad", payload=b"1", request_id="r1")
            await log.append([bad, happened("good")])
            await dead.until(1)
            await inbox.until(2)
        letter = DeadLetter.of(dead.deliveries[0].event)
        assert letter == DeadLetter(bad, GROUP, Cause("INVALID_ARGUMENT", 1))
        assert sorted(inbox.keys) == ["bad", "good"]

    async def test_a_defect_is_borne_three_times_then_the_event_is_given_up(self) -> None:
        clock = ManualClock()
        inbox, dead = Inbox(lambda _: ZeroDivisionError("secret text")), Inbox()
        async with (
            self.opener()(clock) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
            time_passing(clock),
        ):
            await log.append([happened("a")])
            await dead.until(1)
        assert [d.is_last_chance for d in inbox.deliveries] == [False, False, True]
        buried = dead.deliveries[0].event
        assert DeadLetter.of(buried).cause == Cause("INTERNAL", 3)
        assert "secret" not in str(buried)

    async def test_transient_errors_before_it_do_not_make_a_defect_final(self) -> None:
        clock = ManualClock()
        errors: dict[int, BaseException] = {n: UnavailableError("away") for n in range(1, 5)}
        inbox = Inbox(lambda d: {**errors, 5: ZeroDivisionError()}.get(d.attempt))
        async with self.opener()(clock) as log, consuming(log, inbox), time_passing(clock):
            await log.append([happened("a")])
            await inbox.until(6)
        assert not any(delivery.is_last_chance for delivery in inbox.deliveries)

    async def test_a_cancellation_inside_a_handler_is_a_defect_not_an_interruption(self) -> None:
        clock = ManualClock()
        inbox = Inbox(lambda d: asyncio.CancelledError() if d.attempt == 1 else None)
        async with self.opener()(clock) as log, consuming(log, inbox):
            await log.append([happened("a")])
            await inbox.until(1)
            await clock.until_asleep()
            await clock.advance(60)
            await inbox.until(2)
        assert [delivery.attempt for delivery in inbox.deliveries] == [1, 2]

    async def test_the_request_id_of_an_event_is_current_while_it_is_handled(self) -> None:
        inbox = Inbox()
        async with self.opener()(ManualClock()) as log, consuming(log, inbox):
            await log.append([happened("a", request_id="from-the-upload")])
            await inbox.until(1)
        assert inbox.request_ids == ["from-the-upload"]

    async def test_a_dead_letter_that_is_appended_again_is_handled_again(self) -> None:
        errors = {"bad": InvalidError("no")}
        inbox, dead = Inbox(lambda d: errors.get(d.event.key)), Inbox()
        async with (
            self.opener()(ManualClock()) as log,
            consuming(log, inbox),
            consuming(log, dead, topic=TOPIC + DEAD_SUFFIX),
        ):
            await log.append([happened("bad")])
            await dead.until(1)
            errors.clear()
            await log.append([DeadLetter.of(dead.deliveries[0].event).event])
            await inbox.until(2)
        assert [delivery.attempt for delivery in inbox.deliveries] == [1, 1]
