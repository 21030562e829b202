"""What Weaviate keeps is in its files; what is removed goes wholly, whatever a kill has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ragmesh.core.ids import chunk_id
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject, chunk_objects, with_attributes
from ragmesh.retrieval.adapters.weaviate.revisions import Record
from ragmesh.retrieval.adapters.weaviate.shard import Found
from ragmesh.retrieval.adapters.weaviate.writing import LEAVE_SECONDS, Writer
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.retrieval import attributes, chunks, document_write, index_spec, uid_of

WHOLE = Record(uid_of("a"), 1, 2, "digest", attributes("a"))


class Removals:
    """Chunks and records of a version, as far as a sweep removes them."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.conditions = self.records = 0

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
        pytest.param(replace(WHOLE, updating=2), True, id="an update of it has not ended"),
    ],
)
async def test_what_an_index_may_not_know_is_removed_by_its_keys(
    record: Record, by_keys: bool
) -> None:
    clock, removals, spec = ManualClock(), Removals(), index_spec()
    version: Any = SimpleNamespace(spec=spec, chunks=removals, revisions=removals)
    retired = replace(record, retired_at=clock.now().timestamp() - LEAVE_SECONDS)
    await Writer(clock, flush_seconds=0).sweep(version, [retired])
    ids = [chunk_id(spec.index_version_uid, record.document_uid, 1, n) for n in range(2)]
    assert removals.keys == (ids if by_keys else [])
    assert removals.conditions == (0 if by_keys else 1)
    assert removals.records == 1


def test_changed_attributes_come_with_a_vector_that_is_another_one_for_the_store_alone() -> None:
    spec, analyzer = index_spec(), Analyzer("en")
    (stored,) = chunk_objects(
        analyzer, spec.index_version_uid, ("d", 1), attributes("a"), chunks("a cat")
    )
    once = with_attributes(analyzer, stored, attributes("b"))
    again = with_attributes(analyzer, once, attributes("c"))
    assert (once.id, once.properties["document_id"]) == (stored.id, "b")
    assert once.vector != stored.vector
    assert again.vector == stored.vector
    read, first = Vector(once.vector).floats(), Vector(stored.vector).floats()
    assert read == pytest.approx(first, rel=1e-6)


class Forgetful:
    """Chunks of a version whose server knows what it kept last only once it has written it."""

    def __init__(self, forgets: int) -> None:
        self.calls: list[str] = []
        self._forgets = forgets
        self._known: set[str] = set()

    async def put(self, objects: Sequence[StoredObject]) -> None:
        self.calls.append(f"put {len(objects)}")
        lost, self._forgets = self._forgets, 0
        self._known |= {one.id for one in objects[lost:]}

    async def flush(self, _id: str) -> None:
        self.calls.append("flush")

    async def remove_keys(self, keys: Sequence[str]) -> None:
        self.calls.append(f"remove {len(keys)}")

    async def nearest(self, *_asked: object) -> list[Found]:
        self.calls.append("look")
        return [Found(StoredObject(id, {}), 1.0) for id in self._known]


class NoRecords:
    """Records of a version that keeps none."""

    async def get(self, *_owner: object) -> None:
        return None

    async def put(self, _records: Sequence[Record]) -> None:
        return None


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
        spec=spec, chunks=kept, revisions=NoRecords(), heads=heads, analyzer=Analyzer("en")
    )
    write = document_write(spec, "a", "one", "two", "three")
    told = await Writer(ManualClock(), flush_seconds=0).write(version, write)
    assert told.chunk_count == 3
    assert kept.calls == calls
