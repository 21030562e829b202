"""What Weaviate keeps is in its files; what is removed goes wholly, whatever a kill has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ragmesh.core.errors import UnavailableError
from ragmesh.core.ids import chunk_id
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject, object_id
from ragmesh.retrieval.adapters.weaviate.revisions import Record
from ragmesh.retrieval.adapters.weaviate.shard import Found
from ragmesh.retrieval.adapters.weaviate.writing import LEAVE_SECONDS, Writer
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.retrieval import attributes, document_write, index_spec, uid_of

WHOLE = Record(uid_of("a"), 1, 2, "digest", attributes("a"))


class Removals:
    """Chunks and records of a version, as far as a sweep removes them."""

    def __init__(self, record: Record) -> None:
        self.keys: list[str] = []
        self.conditions = self.records = 0
        self.record = record

    async def get(self, _document_uid: str, _revision: int) -> Record | None:
        return self.record

    async def remove(self, _condition: object) -> int:
        self.conditions += 1
        return 0

    async def remove_keys(self, keys: Sequence[str]) -> None:
        self.keys += keys

    async def forget(self, records: Sequence[Record]) -> None:
        self.records += len(records)


@pytest.mark.parametrize(
    ("record", "by_keys"),
    [
        pytest.param(WHOLE, False, id="whole"),
        pytest.param(replace(WHOLE, digest=""), True, id="its write has not ended"),
        pytest.param(replace(WHOLE, other_count=3), True, id="a change of it has not ended"),
    ],
)
async def test_what_an_index_may_not_know_is_removed_by_its_keys(
    record: Record, by_keys: bool
) -> None:
    clock, spec = ManualClock(), index_spec()
    retired = replace(record, retired_at=clock.now().timestamp() - LEAVE_SECONDS)
    removals = Removals(retired)
    version: Any = SimpleNamespace(spec=spec, chunks=removals, revisions=removals)
    await Writer(clock, flush_seconds=0).sweep(version, [retired])
    most = max(record.chunk_count, record.other_count)
    ids = [chunk_id(spec.index_version_uid, record.document_uid, 1, n) for n in range(most)]
    sides = [object_id(one, side) for side in (0, 1) for one in ids]
    assert removals.keys == (sides if by_keys else [])
    assert removals.conditions == (0 if by_keys else 1)
    assert removals.records == 1


class Forgetful:
    """Chunks of a version whose server knows what it kept last only once it has written it."""

    def __init__(self, forgets: int) -> None:
        self.calls: list[str] = []
        self._forgets = forgets
        self._known: list[StoredObject] = []

    async def put(self, objects: Sequence[StoredObject]) -> None:
        self.calls.append(f"put {len(objects)}")
        lost, self._forgets = self._forgets, 0
        self._known += objects[lost:]

    async def flush(self, _id: str) -> None:
        self.calls.append("flush")

    async def remove_keys(self, keys: Sequence[str]) -> None:
        self.calls.append(f"remove {len(keys)}")

    async def nearest(self, *_asked: object) -> list[Found]:
        self.calls.append("look")
        return [Found(one, 1.0) for one in self._known]


class Records:
    """The records of a version."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], Record] = {}

    async def get(self, document_uid: str, revision: int) -> Record | None:
        return self.kept.get((document_uid, revision))

    async def put(self, records: Sequence[Record]) -> None:
        self.kept |= {(one.document_uid, one.revision): one for one in records}


@pytest.mark.parametrize(
    ("forgets", "calls"),
    [
        (0, ["put 3", "flush", "look"]),
        (2, ["put 3", "flush", "look", "remove 2", "put 2", "flush", "look"]),
    ],
)
async def test_what_is_looked_for_was_written_into_files_before(
    forgets: int, calls: list[str]
) -> None:
    spec, kept = index_spec(), Forgetful(forgets)
    heads = SimpleNamespace(doubt=lambda _uid: None)
    version: Any = SimpleNamespace(
        spec=spec, chunks=kept, revisions=Records(), heads=heads, analyzer=Analyzer("en")
    )
    write = document_write(spec, "a", "one", "two", "three")
    told = await Writer(ManualClock(), flush_seconds=0).write(version, write)
    assert told.chunk_count == 3
    assert kept.calls == calls


class Overtaken(Records):
    """Records that somebody else changes as soon as a write has begun."""

    async def put(self, records: Sequence[Record]) -> None:
        await super().put([replace(one, attempt="another") for one in records])


async def test_who_was_overtaken_gives_way_and_removes_nothing() -> None:
    spec, kept, records = index_spec(), Forgetful(0), Overtaken()
    heads = SimpleNamespace(doubt=lambda _uid: None)
    version: Any = SimpleNamespace(
        spec=spec, chunks=kept, revisions=records, heads=heads, analyzer=Analyzer("en")
    )
    with pytest.raises(UnavailableError):
        await Writer(ManualClock(), flush_seconds=0).write(version, document_write(spec, "a", "b"))
    assert kept.calls == []
    assert [one.digest for one in records.kept.values()] == [""]
