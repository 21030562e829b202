"""Usage on its way to indexing is neither lost nor counted twice, and finite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragmesh.chassis.locks import StoreLock
from ragmesh.core.answers import Usage
from ragmesh.core.callers import DEFAULT_TENANT_UID, Principal
from ragmesh.core.errors import (
    BudgetSpentError,
    NewerFormatError,
    StorageFullError,
    UnavailableError,
    UsageSpoolFullError,
)
from ragmesh.core.tenants import Budget, BudgetAction
from ragmesh.core.usage import (
    Record,
    RefusalRecord,
    SeenDocument,
    SightRecord,
    UsageRecord,
)
from ragmesh.gateway.adapters import spool_file
from ragmesh.gateway.adapters.spool_file import SpoolFile, open_spool_file
from ragmesh.gateway.books import Refusals, SpooledBooks
from ragmesh.gateway.budgets import Budgets
from ragmesh.gateway.ports import SpoolStore
from ragmesh.gateway.record_texts import record_from_text, record_to_text
from ragmesh.gateway.spool import Spool, SpoolLimits
from ragmesh.testing.books import MemorySpoolStore
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.indexing import FakeIndexing
from ragmesh.testing.records_contract import call, used

MIA = Principal(DEFAULT_TENANT_UID, "mia", key_id="key-1")
SIGHT = SightRecord(call("s"), "c", (SeenDocument("d", ("c1", "c2")), SeenDocument("e")))
DETAILED = UsageRecord(
    call("u"), "c", "gpt", Usage(7, 3, 0.25), True, "X", (("total", 1.5),), 1.5, 4
)


@pytest.fixture
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SpoolStore]:
    if request.param == "memory":
        yield MemorySpoolStore()
        return
    async with open_spool_file(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def writing(spool: Spool) -> AsyncIterator[None]:
    """The spool's writer, which is cancelled and not told to end: a crash."""
    task = asyncio.get_running_loop().create_task(spool.write())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def spool_of(store: SpoolStore, keeper: FakeIndexing, **limits: int) -> Spool:
    return Spool(store, keeper, ManualClock(), SpoolLimits(**limits))


@pytest.mark.parametrize("record", [DETAILED, SIGHT, RefusalRecord(call("r"), "DENIED", 3)])
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert record_from_text(record_to_text(record)) == record


@pytest.mark.parametrize("store", ["memory", "sqlite"], indirect=True)
async def test_lines_come_in_their_order_until_they_are_removed(store: SpoolStore) -> None:
    await store.append(["a", "b"])
    await store.append(["c"])
    (first, second) = await store.read(2)
    assert (first[1], second[1], await store.count()) == ("a", "b", 3)
    await store.remove([first[0], second[0]])
    assert [line for _, line in await store.read(9)] == ["c"]
    await store.remove([])
    await store.append([])
    assert await store.count() == 1


async def test_what_was_written_survives_a_crash_and_counts_once(tmp_path: Path) -> None:
    keeper = FakeIndexing()
    stack = AsyncExitStack()
    first = await stack.enter_async_context(open_spool_file(tmp_path))
    spool = spool_of(first, keeper)
    async with writing(spool):
        spool.put([used("a"), SIGHT])
        await spool.written()
        # It is sent, and the process dies before it forgets that it has to be.
        first.remove = _die  # type: ignore[method-assign,assignment]
        with pytest.raises(UnavailableError):
            await spool.send_batch()
        spool.put([used("b")])
        await spool.written()
    await _crash(stack, first)
    async with open_spool_file(tmp_path) as second:
        again = spool_of(second, keeper)
        assert await again.send_batch() == 3
        assert await second.count() == 0
    assert sorted(keeper.usage) == ["a", "b"]
    assert list(keeper.sights) == ["s"]


async def test_who_stops_hands_over_what_was_not_sent_yet() -> None:
    keeper, store = FakeIndexing(), MemorySpoolStore()
    spool = spool_of(store, keeper, batch=2)
    async with writing(spool):
        spool.put([used("a"), used("b"), used("c")])
        await spool.written()
    await spool.hand_over(seconds=5)
    assert (sorted(keeper.usage), await store.count()) == (["a", "b", "c"], 0)


async def test_what_nobody_takes_from_who_stops_is_kept() -> None:
    keeper, store = FakeIndexing(), MemorySpoolStore()
    spool = spool_of(store, keeper)
    async with writing(spool):
        spool.put([used("a")])
        await spool.written()
    keeper.record_usage = _die  # type: ignore[method-assign,assignment]
    await spool.hand_over(seconds=5)
    assert await store.count() == 1


async def test_what_a_gateway_that_is_gone_has_left_is_taken_over(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_spool_file(tmp_path))
        async with open_spool_file(tmp_path) as second:
            await second.append(["left"])
            await first.append(["mine"])
            assert [line for _, line in await second.read(9)] == ["left"]
    async with open_spool_file(tmp_path) as alone:
        assert [line for _, line in await alone.read(9)] == ["mine", "left"]
    with StoreLock(tmp_path / "usage-1.db"):
        async with open_spool_file(tmp_path) as other:
            assert await other.count() == 0


async def test_a_spool_of_a_newer_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_spool_file(tmp_path):
        pass
    monkeypatch.setattr(spool_file, "FORMAT_VERSION", 0)
    with pytest.raises(NewerFormatError):
        async with open_spool_file(tmp_path):
            pass


async def test_records_wait_while_indexing_is_away() -> None:
    keeper, store = FakeIndexing(), MemorySpoolStore()
    spool = spool_of(store, keeper)
    keeper.error = UnavailableError("away")
    async with writing(spool):
        spool.put([used("a")])
        await spool.written()
        with pytest.raises(UnavailableError):
            await spool.send_batch()
        assert (spool.waiting, len(store.lines)) == (1, 1)
        keeper.error = None
        assert await spool.send_batch() == 1
        assert (spool.waiting, store.lines) == (0, {})


async def test_a_full_spool_drops_what_is_free_and_refuses_what_is_paid() -> None:
    store = MemorySpoolStore()
    spool = spool_of(store, FakeIndexing(), records=2)
    books = _books(spool)
    async with writing(spool):
        books.put(used("a", cost=0.0), used("b", cost=0.0))
        assert spool.is_full
        with pytest.raises(UsageSpoolFullError) as refused:
            await books.may_pay(MIA)
        assert (refused.value.reason, refused.value.retry_after_seconds) == (
            "USAGE_SPOOL_FULL", 10.0)  # fmt: skip
        books.put(used("c", cost=0.0))
        assert spool.dropped == 1
        # A paid call that was let in before is not forgotten.
        await books.put_durably(used("d"))
        assert len(store.lines) == 3
        await spool.send_batch()
        assert await books.may_pay(MIA)


async def test_a_disk_that_is_full_refuses_paid_calls_until_it_is_not() -> None:
    store = MemorySpoolStore()
    spool = spool_of(store, FakeIndexing())
    books = _books(spool)
    clock = spool._clock
    assert isinstance(clock, ManualClock)
    async with writing(spool):
        store.error = StorageFullError("full")
        books.put(used("a"), paid=True)
        await clock.until_asleep()
        assert spool.is_full
        with pytest.raises(UsageSpoolFullError):
            await books.may_pay(MIA)
        store.error = None
        await clock.advance(1.0)
        await spool.written()
        assert (spool.is_full, len(store.lines)) == (False, 1)


async def test_a_line_that_nobody_can_read_holds_up_none_behind_it() -> None:
    keeper, store = FakeIndexing(), MemorySpoolStore()
    await store.append(["{}", record_to_text(used("a"))])
    assert await spool_of(store, keeper).send_batch() == 2
    assert (list(keeper.usage), store.lines) == (["a"], {})


async def test_a_spool_that_closes_writes_what_it_was_given() -> None:
    store = MemorySpoolStore()
    spool = spool_of(store, FakeIndexing())
    spool.put([used("a")])
    spool.close()
    await spool.write()
    assert len(store.lines) == 1


async def test_a_spent_budget_refuses_or_degrades_until_the_month_ends() -> None:
    clock, keeper = ManualClock(datetime(2026, 1, 31, 12, tzinfo=UTC)), FakeIndexing()
    keeper.clock = clock
    store = MemorySpoolStore()
    own = keeper.budgets
    budgets = Budgets(keeper, clock, Budget(1.0))
    spool = Spool(store, keeper, clock, tell=budgets.learn)
    books = SpooledBooks(spool, budgets, clock, lambda: "r")
    async with writing(spool):
        assert await books.may_pay(MIA)
        for name in ("a", "b"):
            await books.put_durably(used(name, clock.now()))
        # Not with indexing yet, and counted all the same.
        with pytest.raises(BudgetSpentError) as spent:
            await books.may_pay(MIA)
        assert spent.value.reason == "BUDGET_SPENT"
        assert spent.value.retry_after_seconds == 12 * 3_600.0
        await spool.send_batch()
        assert budgets.spent(DEFAULT_TENANT_UID) == 1.0
        own[DEFAULT_TENANT_UID] = Budget(0.5, BudgetAction.DEGRADE)
        await clock.advance(10.0)
        assert not await books.may_pay(MIA)
        own[DEFAULT_TENANT_UID] = Budget(5.0)
        await clock.advance(10.0)
        assert await books.may_pay(MIA)
        own.clear()
        await clock.advance(timedelta(days=1).total_seconds())
        assert await books.may_pay(MIA)


async def test_what_other_gateways_spend_counts_within_seconds() -> None:
    clock, keeper = ManualClock(), FakeIndexing()
    budgets = Budgets(keeper, clock, Budget(1.0))
    assert await budgets.may_pay(DEFAULT_TENANT_UID)
    keeper.usage["x"] = used("x", clock.now(), cost=3.0)
    assert await budgets.may_pay(DEFAULT_TENANT_UID)
    await clock.advance(10.0)
    with pytest.raises(BudgetSpentError):
        await budgets.may_pay(DEFAULT_TENANT_UID)


def test_many_refusals_are_two_records_a_minute() -> None:
    refusals, now = Refusals(), datetime(2026, 1, 1, tzinfo=UTC)
    (first,) = refusals.note(call("1", now), "DENIED")
    assert (first.attempts, first.call.record_id) == (1, "1")
    for second in range(1, 60):
        assert refusals.note(call("2", now + timedelta(seconds=second)), "DENIED") == []
    rest, again = refusals.note(call("3", now + timedelta(seconds=61)), "DENIED")
    assert (rest.attempts, again.attempts) == (59, 1)
    assert rest.call.record_id != first.call.record_id


def _books(spool: Spool) -> SpooledBooks:
    clock = ManualClock()
    return SpooledBooks(spool, Budgets(FakeIndexing(), clock), clock, lambda: "request-1")


async def _die(*_arguments: object) -> None:
    raise UnavailableError("the process is gone")


async def _crash(stack: AsyncExitStack, file: SpoolFile) -> None:
    """What a kill leaves: files as they are, locks given back, nothing folded or flushed."""
    copies = {path: path.read_bytes() for path in file._path.parent.glob("usage-1.db*")}
    await stack.aclose()
    for path, content in copies.items():
        path.write_bytes(content)
