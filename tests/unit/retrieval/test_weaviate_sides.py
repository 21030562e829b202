"""Whoever is killed or overtaken while a revision changes leaves the whole of it to searches.

Every writer takes its turns at calls to one store. A look at a record and the call after it are one
turn, since these are the milliseconds that ADR 50 admits; a writer's first look is not, because it
reads and analyses chunks after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from ragmesh.core.errors import RevisionNotFoundError, UnavailableError
from ragmesh.core.ids import chunk_id
from ragmesh.core.index import AttributesWrite, DocumentWrite
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.weaviate.conditions import Condition
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject, object_id
from ragmesh.retrieval.adapters.weaviate.revisions import Record
from ragmesh.retrieval.adapters.weaviate.shard import Found
from ragmesh.retrieval.adapters.weaviate.writing import LEAVE_SECONDS, SIDES, Writer
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.retrieval import document_write, index_spec

SPEC = index_spec()
FIRST = document_write(SPEC, "a", "one cat", "two cat")
ORDINALS = set(range(len(FIRST.chunks)))
OWNER = (FIRST.document_uid, FIRST.revision)
MOST_TURNS = 100
"""More than any change takes."""
LONG_AGO = ManualClock().now().timestamp() - LEAVE_SECONDS


def titled(generation: int) -> DocumentWrite:
    """The revision as it is with the attributes of a later generation."""
    new = replace(FIRST.attributes, title=f"t{generation}", generation=generation)
    return replace(FIRST, attributes=new)


@dataclass
class Store:
    """What a server keeps of one revision."""

    objects: dict[str, StoredObject] = field(default_factory=dict)
    record: Record | None = None

    def side(self, side: int) -> dict[int, int]:
        """The generations of the chunks on one side, by ordinal."""
        uid = SPEC.index_version_uid
        ids = {n: object_id(chunk_id(uid, *OWNER, n), side) for n in ORDINALS}
        return {
            n: int(self.objects[one].properties["generation"])
            for n, one in ids.items()
            if one in self.objects
        }

    @property
    def seen(self) -> set[int]:
        """The chunks that a search finds, on whichever side."""
        if self.record is None or not self.record.digest:
            return set()
        return {ordinal for side in SIDES for ordinal in self.side(side)}

    def require_whole(self, generation: int) -> None:
        """Only what was written, on one side; and the record says so."""
        assert self.record is not None
        assert self.record.is_held
        assert self.record.other_count == 0
        assert self.record.attributes.generation == generation
        assert self.side(self.record.side) == dict.fromkeys(ORDINALS, generation)
        assert self.side(1 - self.record.side) == {}


class Turns:
    """The store as one writer calls it, who waits before each call until it is its turn."""

    def __init__(self, store: Store, analyses: bool) -> None:
        self._store = store
        self._is_at_leisure = analyses
        self._looked = False
        self.is_calling = self.is_asleep = False
        self._arrived, self._allowed = asyncio.Event(), asyncio.Event()

    async def take(self, task: asyncio.Task[object]) -> None:
        """Let the writer make its next call, and wait until it would make another, or has ended."""
        await self._until_waiting(task)
        self._arrived.clear()
        self._allowed.set()
        await self._until_waiting(task)

    async def _until_waiting(self, task: asyncio.Task[object]) -> None:
        arrived = asyncio.create_task(self._arrived.wait())
        await asyncio.wait({task, arrived}, return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()

    async def _turn(self) -> None:
        if self._looked:
            self._looked = False
            return
        self._arrived.set()
        await self._allowed.wait()
        self._allowed.clear()

    async def sleep(self, _seconds: float) -> None:
        self.is_asleep = True
        await self._turn()
        self.is_asleep = False

    # -- records

    async def get(self, _document_uid: str, _revision: int) -> Record | None:
        await self._turn()
        self._looked, self._is_at_leisure = not self._is_at_leisure, False
        return self._store.record

    async def put_records(self, records: Sequence[Record]) -> None:
        await self._turn()
        (self._store.record,) = records

    async def of_document(self, _document_uid: str) -> list[Record]:
        await self._turn()
        self._looked = True
        return [self._store.record] if self._store.record else []

    async def retire(self, records: Sequence[Record], now: float) -> None:
        await self.put_records([replace(one, retired_at=now, attempt="gone") for one in records])

    async def forget(self, _records: Sequence[Record]) -> None:
        await self._turn()
        self._store.record = None

    # -- chunks

    async def put(self, objects: Sequence[StoredObject]) -> None:
        for one in objects:
            await self._turn()
            self.is_calling = one is not objects[-1]
            self._store.objects[one.id] = one

    async def remove_keys(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self._turn()
            self.is_calling = key != keys[-1]
            self._store.objects.pop(key, None)

    async def remove(self, _condition: object) -> int:
        await self._turn()
        self._store.objects.clear()
        return 0

    async def flush(self, _id: str) -> None:
        await self._turn()

    async def nearest(self, _vector: bytes, condition: Condition, *_asked: object) -> list[Found]:
        await self._turn()
        return [Found(one, 1.0) for one in self._among(condition.value_text_array.values)]

    async def by_ids(self, ids: Sequence[str], *_: object, **__: object) -> dict[str, StoredObject]:
        await self._turn()
        return {one.id: one for one in self._among(ids)}

    def _among(self, ids: Sequence[str]) -> list[StoredObject]:
        return [self._store.objects[one] for one in ids if one in self._store.objects]


Change = Callable[[Writer, Any], Awaitable[object]]


def writes(write: DocumentWrite) -> Change:
    return lambda writer, version: writer.write(version, write)


def updates(write: DocumentWrite) -> Change:
    uid = write.index_version_uid
    new = AttributesWrite(uid, write.document_uid, write.revision, write.attributes)
    return lambda writer, version: writer.update_attributes(version, new)


async def deletes(writer: Writer, version: Any) -> None:
    await writer.delete(version, FIRST.document_uid, FIRST.revision + 1)


def sweeps(retired: Record) -> Change:
    return lambda writer, version: writer.sweep(version, [retired])


class Changing:
    """One writer at its change of the store."""

    def __init__(self, store: Store, change: Change, *, analyses: bool = True) -> None:
        self._turns = turns = Turns(store, analyses)
        records = SimpleNamespace(
            get=turns.get,
            put=turns.put_records,
            of_document=turns.of_document,
            retire=turns.retire,
            forget=turns.forget,
        )
        version = SimpleNamespace(
            spec=SPEC,
            chunks=turns,
            revisions=records,
            heads=SimpleNamespace(doubt=lambda _uid: None),
            analyzer=Analyzer("en"),
        )

        async def run() -> object:
            clock: Any = SimpleNamespace(sleep=turns.sleep, now=ManualClock().now)
            return await change(Writer(clock, flush_seconds=0), version)

        self.task = asyncio.create_task(run())

    @property
    def succeeded(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    async def go(self, turns: int = MOST_TURNS, beside: Changing | None = None) -> None:
        """Take so many turns, or fewer when it ends."""
        for _ in range(turns):
            if self.task.done():
                return
            while self._turns.is_asleep and beside is not None and beside.is_calling:
                await beside.go(1)
            await self._turns.take(self.task)

    @property
    def is_calling(self) -> bool:
        """Whether it is in the midst of a call, which is shorter than a sleep."""
        return self._turns.is_calling and not self.task.done()

    async def die(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    def gave_way(self) -> bool:
        """Whether it ended otherwise than by its success; any other failure is raised."""
        try:
            self.task.result()
        except (UnavailableError, RevisionNotFoundError):
            return True
        return False


async def holding(first: DocumentWrite | None) -> Store:
    """A store to which this was written."""
    store = Store()
    if first is not None:
        await ended(store, writes(first))
    return store


async def ended(store: Store, change: Change) -> None:
    """The change is made, by somebody who is alone."""
    changing = Changing(store, change)
    await changing.go()
    assert not changing.gave_way()


async def interleaved(
    store: Store, changes: tuple[Change, Change], turns: tuple[int, int]
) -> list[Changing]:
    """One goes so far, then the other goes so far, then the one ends, then the other."""
    one, other = (Changing(store, change) for change in changes)
    is_held = store.record is not None
    for going, beside, most in (
        (one, other, turns[0]),
        (other, one, turns[1]),
        (one, other, MOST_TURNS),
        (other, one, MOST_TURNS),
    ):
        for _ in range(most):
            if going.task.done():
                break
            await going.go(1, beside)
            is_held = is_held or going.succeeded
            assert not is_held or store.seen == ORDINALS, "a search sees a part"
    return [one, other]


async def turns_of(first: DocumentWrite | None, change: Change) -> int:
    """How many turns a change takes that nobody disturbs."""
    changing = Changing(await holding(first), change)
    turns = 0
    while not changing.task.done():
        await changing.go(1)
        turns += 1
    return turns


CHANGES = [
    pytest.param(None, writes(FIRST), 1, id="a write"),
    pytest.param(FIRST, writes(titled(2)), 2, id="a write with later attributes"),
    pytest.param(titled(2), writes(FIRST), 2, id="a write with earlier attributes"),
    pytest.param(FIRST, updates(titled(2)), 2, id="an update of attributes"),
]


@pytest.mark.parametrize(("first", "change", "generation"), CHANGES)
async def test_a_change_that_was_killed_twice_anywhere_is_whole_once_it_is_made_again(
    first: DocumentWrite | None, change: Change, generation: int
) -> None:
    turns = range(await turns_of(first, change) + 1)
    for deaths in product(turns, turns):
        store = await holding(first)
        for death in deaths:
            killed = Changing(store, change)
            await killed.go(death)
            await killed.die()
            assert first is None or store.seen == ORDINALS, deaths
        await ended(store, change)
        store.require_whole(generation)


PAIRS = [
    pytest.param(None, writes(FIRST), writes(FIRST), 1, id="two write the same"),
    pytest.param(None, writes(FIRST), writes(titled(2)), 2, id="two write"),
    pytest.param(FIRST, writes(titled(2)), writes(titled(2)), 2, id="two write the same anew"),
    pytest.param(FIRST, updates(titled(2)), updates(titled(3)), 3, id="two update"),
    pytest.param(FIRST, updates(titled(2)), writes(FIRST), 2, id="one updates, one writes again"),
    pytest.param(FIRST, updates(titled(2)), writes(titled(3)), 3, id="one updates, one writes"),
]


@pytest.mark.parametrize(("first", "change", "another", "generation"), PAIRS)
async def test_two_at_once_never_show_a_part_and_leave_the_whole_once_made_again(
    first: DocumentWrite | None, change: Change, another: Change, generation: int
) -> None:
    for changes in ((change, another), (another, change)):
        one, other = [range(await turns_of(first, each) + 1) for each in changes]
        for turns in product(one, other):
            store = await holding(first)
            for writer in await interleaved(store, changes, turns):
                writer.gave_way()
            for again in changes:
                await ended(store, again)
            store.require_whole(generation)


@pytest.mark.parametrize(("first", "change", "_generation"), CHANGES[1:])
async def test_what_is_deleted_anywhere_in_a_change_stays_deleted(
    first: DocumentWrite, change: Change, _generation: int
) -> None:
    for turns in range(1, await turns_of(first, change) + 1):
        store = await holding(first)
        changing = Changing(store, change)
        await changing.go(turns)
        await ended(store, deletes)
        await changing.go()
        changing.gave_way()
        assert store.record is not None
        assert store.record.is_retired, turns
        store.record = replace(store.record, retired_at=LONG_AGO)
        await ended(store, sweeps(store.record))
        assert store.objects == {}, turns


async def test_what_is_written_again_while_a_sweep_comes_by_is_not_swept() -> None:
    for turns in product(range(4), range(await turns_of(FIRST, writes(titled(2))) + 4)):
        store = await holding(FIRST)
        assert store.record is not None
        retired = store.record = replace(store.record, attempt="gone", retired_at=LONG_AGO)
        sweeping = Changing(store, sweeps(retired), analyses=False)
        writing = Changing(store, writes(titled(2)))
        await sweeping.go(turns[0], writing)
        await writing.go(turns[1], sweeping)
        await sweeping.go()
        await writing.go()
        if writing.gave_way():
            await ended(store, writes(titled(2)))
        store.require_whole(2)
