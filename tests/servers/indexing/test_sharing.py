"""Several processes on one catalog: nothing is lost, doubled or out of order between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import pytest

from ragmesh.chassis.events import Event
from ragmesh.core.api_keys import mint_key
from ragmesh.core.callers import Machine
from ragmesh.core.documents import DocumentChange, JobState, NewCollection
from ragmesh.core.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    RagmeshError,
    StoreDamagedError,
    SupersededError,
    UnavailableError,
)
from ragmesh.core.index import HeadBatch
from ragmesh.core.tenants import NewKey, NewTenant
from ragmesh.indexing.adapters.catalog.leases import RowLease, Term
from ragmesh.indexing.adapters.catalog.opening_postgres import (
    migrate_postgres,
    open_postgres_catalog,
)
from ragmesh.indexing.adapters.catalog.places import PostgresPlace
from ragmesh.indexing.adapters.catalog.postgres import engine_of
from ragmesh.indexing.adapters.catalog.transactions import Transactions
from ragmesh.indexing.relay import Relay, RelayLimits
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.indexing_world import World, publication
from ragmesh.testing.tenants_contract import KEEPER
from tests.servers.indexing.databases import database
from tests.servers.indexing.pairs import pair
from tests.unit.indexing.world import ADMIN
from tools.servers.server import Server

pytestmark = pytest.mark.servers

GATEWAY = Machine("gateway")
Item = TypeVar("Item")


@dataclass
class CountingLog:
    """An event log that takes its time, and counts."""

    events: list[Event] = field(default_factory=list)
    failures: int = 0

    async def append(self, events: Sequence[Event]) -> None:
        await asyncio.sleep(0.01)  # as a broker does
        if self.failures:
            self.failures -= 1
            raise UnavailableError("away")
        self.events.extend(events)

    async def consume(self, *_: object, max_in_flight: int) -> None:
        raise NotImplementedError

    def documents(self) -> Counter[str]:
        return Counter(event.key.rpartition("/")[2] for event in self.events)


async def drain(made: World, log: CountingLog, **limits: int) -> None:
    """Relay until nothing is left for this relay, looking again as a loop does."""
    relay = Relay(made.indexing.ledger, log, made.clock, RelayLimits(**limits))
    idle = 0
    while idle < 5:
        try:
            moved = await relay.relay_some()
        except UnavailableError:
            moved = 1
        idle = 0 if moved else idle + 1
        await asyncio.sleep(0.02 if not moved else 0)


async def test_two_relays_send_every_row_once(place: PostgresPlace, tmp_path: Path) -> None:
    async with pair(place, tmp_path) as (one, other):
        for name in ("more", "most"):
            await one.service.create_collection(ADMIN, NewCollection(name))
        uids = set()
        for number in range(60):
            made = (one, other)[number % 2]
            await made.upload(f"d{number}")
            uids.add((await made.work(f"d{number}")).document_uid)
        log = CountingLog()
        await asyncio.gather(*(drain(made, log, rows=7) for made in (one, other)))
        assert log.documents() == Counter(uids)


async def test_what_a_relay_could_not_send_another_one_sends(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        for number in range(10):
            await one.upload(f"d{number}")
        log = CountingLog(failures=3)
        await asyncio.gather(*(drain(made, log, rows=3) for made in (one, other)))
        assert set(log.documents().values()) == {1}
        assert len(log.events) == 10


async def test_two_relays_keep_one_window(place: PostgresPlace, tmp_path: Path) -> None:
    async with pair(place, tmp_path) as (one, other):
        for number in range(20):
            await one.upload(f"d{number}")
        log = CountingLog()
        window = {"rows": 4, "window_documents": 6}
        await asyncio.gather(*(drain(made, log, **window) for made in (one, other)))
        assert len(log.events) == 6


async def test_rows_of_a_relay_that_died_are_free_at_once(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        await one.upload("a")
        taken = await one.indexing.ledger.take_outbox(limit=10, window=10)
        assert len(taken) == 1
        assert await other.indexing.ledger.take_outbox(limit=10, window=10) == ()
        await one.indexing.ledger.take_outbox(limit=0, window=0)  # it let go
        assert await other.indexing.ledger.take_outbox(limit=10, window=10) == taken


async def test_sequences_are_in_the_order_of_commits_whoever_publishes(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        works = []
        for number in range(40):
            await one.upload(f"d{number}")
            works.append(await one.work(f"d{number}"))
        version = works[0].index.uid
        seen: list[int] = []
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(other, version, seen, until=40))
            for number, work in enumerate(works):
                ledger = (one, other)[number % 2].indexing.ledger
                group.create_task(ledger.publish(publication(work)))
            await following
        assert seen == list(range(1, 41))  # none was passed by


async def follow(made: World, version: str, seen: list[int], *, until: int) -> None:
    """Read on from the last sequence again and again, as a follower does."""
    catalog = made.indexing.ledger.catalog
    while len(seen) < until:
        found = await catalog.heads_after(version, seen[-1] if seen else 0, limit=1_000)
        assert isinstance(found, HeadBatch)
        seen += [head.sequence for head in found.heads]


async def test_one_of_two_equal_publications_is_superseded(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as worlds:
        await worlds[0].upload("a")
        publish = publication(await worlds[0].work("a"))
        outcomes = await asyncio.gather(
            *(made.indexing.ledger.publish(publish) for made in worlds * 4), return_exceptions=True
        )
        refused = [one for one in outcomes if isinstance(one, SupersededError)]
        assert len(refused) == 7


async def test_the_same_document_uploaded_by_many_at_once_is_one_with_all_its_revisions(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as worlds:
        accepted = await asyncio.gather(
            *(worlds[n % 2].upload("a", f"text {n}") for n in range(12)), return_exceptions=True
        )
        revisions = [one.revision for one in accepted if not isinstance(one, BaseException)]
        assert sorted(revisions) == list(range(1, len(revisions) + 1))
        lost = [one for one in accepted if isinstance(one, BaseException)]
        assert all(isinstance(one, RagmeshError) and one.kind.transient for one in lost)
        assert len(revisions) >= 6
        assert (await worlds[1].work("a")).revision == len(revisions)


async def test_uploads_and_the_end_of_their_collection_leave_nothing_half(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        async with asyncio.TaskGroup() as group:
            uploads = [group.create_task(attempted(one, f"d{n}")) for n in range(30)]
            await asyncio.sleep(0.05)
            await other.service.delete_collection(ADMIN, "docs")
        states = [await other.state_of(job) for job in [await up for up in uploads] if job]
        assert set(states) <= {JobState.CANCELLED}
        backlog = await other.indexing.ledger.get_backlog()
        assert (backlog.live, backlog.bulk) == (0, 0)


async def attempted(made: World, document_id: str) -> str:
    """The job of an upload that was accepted."""
    try:
        return (await made.upload(document_id)).job_id
    except CollectionNotFoundError:
        return ""


async def test_one_of_two_collections_of_a_name_is_made(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as worlds:
        made = await asyncio.gather(
            *(one.service.create_collection(ADMIN, NewCollection("new")) for one in worlds * 3),
            return_exceptions=True,
        )
        assert sum(isinstance(one, CollectionExistsError) for one in made) == 5


async def test_changes_of_one_document_by_many_are_all_counted(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as worlds:
        await worlds[0].upload("a")
        await asyncio.gather(
            *(
                worlds[n % 2].service.update_document(
                    ADMIN, "docs", "a", DocumentChange(title=f"title {n}")
                )
                for n in range(10)
            )
        )
        assert (await worlds[0].work("a")).generation == 11


def closing(stream: AsyncIterator[Item]) -> AbstractAsyncContextManager[AsyncIterator[Item]]:
    """Ends the stream with the block: whoever follows it gets an iterator, which is a generator."""
    return aclosing(cast("AsyncGenerator[Item, None]", stream))


async def test_a_follower_hears_of_what_another_process_published(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        await one.upload("a")
        work = await one.work("a")
        async with closing(other.service.feed.watch(work.index.uid, from_sequence=0)) as heads:
            assert (await anext(heads)).heads == ()
            await one.indexing.ledger.publish(publication(work))
            async with asyncio.timeout(0.9):  # before the next heartbeat
                assert [head.sequence for head in (await anext(heads)).heads] == [1]


async def test_a_publication_whose_signal_was_lost_is_found_within_a_heartbeat(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other), asyncio.TaskGroup() as group:
        await one.upload("a")
        work = await one.work("a")
        comparing = group.create_task(other.service.feed.compare())
        async with closing(other.service.feed.watch(work.index.uid, from_sequence=0)) as heads:
            assert (await anext(heads)).heads == ()
            await one.indexing.ledger.catalog.publish(publication(work))  # and nobody is told
            async with asyncio.timeout(2.5):
                while not (await anext(heads)).heads:  # heartbeats
                    pass
        comparing.cancel()


async def test_keys_that_another_process_made_are_heard_of(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        await one.service.create_tenant(KEEPER, NewTenant("acme"))
        async with closing(other.service.watch_keys(GATEWAY)) as batches:
            assert (await anext(batches)).keys == ()
            new = NewKey("acme", "ada", roles=("read",))
            await one.service.create_key(KEEPER, new, mint_key().digest)
            async with asyncio.timeout(0.9):
                assert len((await anext(batches)).keys) == 1


async def test_a_job_that_ends_elsewhere_is_seen_at_once(
    place: PostgresPlace, tmp_path: Path
) -> None:
    async with pair(place, tmp_path) as (one, other):
        accepted = await one.upload("a")
        async with closing(other.service.watch_job(ADMIN, accepted.job_id)) as states:
            assert (await anext(states)).state is JobState.QUEUED
            await one.index("a")
            async with asyncio.timeout(3):
                async for job in states:
                    if job.state is JobState.SUCCEEDED:
                        return


FAST = Term(seconds=1.0, renewed_every_seconds=0.1, given_up_after_seconds=0.5)


@dataclass
class Care:
    """Work that only one may do at a time."""

    at_work: int = 0
    most: int = 0
    began: int = 0

    async def __call__(self) -> None:
        self.began += 1
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await asyncio.Event().wait()
        finally:
            self.at_work -= 1

    def is_at_work_having_begun(self, times: int) -> bool:
        return self.began == times and self.at_work == 1


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to be."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def test_one_process_looks_after_a_catalog_and_the_next_takes_over(
    place: PostgresPlace,
) -> None:
    async with open_postgres_catalog(place, ManualClock()) as opened:
        leases = [RowLease(opened.lease.transactions, FAST) for _ in range(3)]
        care = Care()
        tasks = [asyncio.create_task(lease.while_held(care)) for lease in leases]
        for remaining in (3, 2, 1):
            await until(partial(care.is_at_work_having_begun, 4 - remaining))
            holder = next(
                n for n, lease in enumerate(leases) if not tasks[n].done() and lease.is_held
            )
            tasks[holder].cancel()
            await asyncio.wait([tasks[holder]])
        assert (care.most, care.began) == (1, 3)


async def test_a_lease_that_cannot_be_renewed_ends_the_work(place: PostgresPlace) -> None:
    nowhere = replace(place, url=place.url.replace(f":{place.port}/", ":1/"))
    async with open_postgres_catalog(place, ManualClock()) as opened:
        lease, care = RowLease(opened.lease.transactions, FAST), Care()
        task = asyncio.create_task(lease.while_held(care))
        await until(lambda: care.at_work == 1)
        lease.transactions = Transactions(engine_of(nowhere), nowhere)
        await until(lambda: care.at_work == 0)
        lease.transactions = opened.lease.transactions
        await until(lambda: care.at_work == 1)  # it is its own again
        assert (care.began, care.most, lease.is_held) == (2, 1, True)
        task.cancel()
        await asyncio.wait([task])


async def test_an_error_of_the_work_leaves_the_lease_as_itself(place: PostgresPlace) -> None:
    async def broken() -> None:
        raise StoreDamagedError("torn")

    async with open_postgres_catalog(place, ManualClock()) as opened:
        lease = RowLease(opened.lease.transactions, FAST)
        with pytest.raises(StoreDamagedError):
            await lease.while_held(broken)


async def test_two_migrations_at_once_make_one_schema(postgres_server: Server) -> None:
    async with database(postgres_server) as place:
        done = await asyncio.gather(*(migrate_postgres(place) for _ in range(3)))
        assert sorted(one.before or "" for one in done).count("") == 1
        assert {one.now for one in done} == {done[0].now}
