"""People are told how many documents there are now; who watches costs a twentieth of one reader."""

from __future__ import annotations

from datetime import UTC, datetime

from ragmesh.core.callers import Caller, Machine, Principal
from ragmesh.core.documents import Chunking, DefaultAccess
from ragmesh.indexing.rows import CollectionRow, DocumentCounts, ServingVersion
from ragmesh.indexing.tallies import Tallies
from ragmesh.testing.clocks import ManualClock

WATCHER, ADA = Machine("operator"), Principal("acme", "ada", frozenset(), frozenset({"admin"}))
DAY = datetime(2026, 1, 1, tzinfo=UTC)
NOTES = CollectionRow(
    uid="notes",
    tenant_uid="acme",
    name="notes",
    description="",
    language="en",
    default_access=DefaultAccess.OPEN,
    sortable=(),
    encoder="fake",
    chunking=Chunking(),
    serving=(ServingVersion("v1", "v1-ab", 100),),
    epoch=1,
    created_at=DAY,
    updated_at=DAY,
)


class Counting:
    """Counts how often it counts, which takes a while."""

    def __init__(self, seconds: float) -> None:
        self.clock, self.seconds, self.times = ManualClock(), seconds, 0

    async def __call__(self, caller: Caller, collection: CollectionRow) -> DocumentCounts:
        await self.clock.advance(self.seconds)
        self.times += 1
        return DocumentCounts(documents=self.times)


async def test_a_machine_that_asks_all_the_time_has_a_twentieth_of_it_counted() -> None:
    counting = Counting(2.0)
    tallies = Tallies(counting, counting.clock)
    for _ in range(400):
        await tallies.count(WATCHER, NOTES)
        await counting.clock.advance(1.0)
    assert counting.times * counting.seconds / counting.clock.monotonic() <= 0.05
    assert counting.times >= 9


async def test_people_are_told_what_is_so_now() -> None:
    counting = Counting(2.0)
    tallies = Tallies(counting, counting.clock)
    await tallies.count(WATCHER, NOTES)
    assert [(await tallies.count(ADA, NOTES)).documents for _ in range(3)] == [2, 3, 4]
    assert (await tallies.count(WATCHER, NOTES)).documents == 1


async def test_no_count_is_older_than_a_minute() -> None:
    counting = Counting(30.0)
    tallies = Tallies(counting, counting.clock)
    await tallies.count(WATCHER, NOTES)
    await counting.clock.advance(61.0)
    assert (await tallies.count(WATCHER, NOTES)).documents == 2
