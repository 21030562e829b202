"""Files that are restored into an object store, here one in memory."""

from __future__ import annotations

import pytest
from obstore.store import MemoryStore

from ragmesh.indexing.adapters.backup_files import ObjectTarget
from ragmesh.indexing.adapters.object_place import ObjectPlace
from ragmesh.indexing.adapters.object_store import PART_BYTES, ObjectStore
from ragmesh.testing.clocks import ManualClock

KEY = "ab" * 16


class Counted(ObjectStore):
    """Counts what is sent."""

    sent = 0

    async def create(self, path: str, content: bytes) -> bool:
        self.sent += 1
        return await super().create(path, content)


@pytest.mark.parametrize("size", [10, PART_BYTES + 1])
async def test_a_file_that_is_there_is_kept_however_large(size: int) -> None:
    store = Counted(MemoryStore(), ObjectPlace("memory:///"), ManualClock())
    target = ObjectTarget(store)
    assert await target.put_back(KEY, b"x" * size)
    sent = store.sent
    assert not await target.put_back(KEY, b"x" * size)
    assert store.sent - sent <= (size <= PART_BYTES)  # a small one is refused by its condition
    assert await target.put_back(KEY, b"y" * size)
    assert await store.read(f"{KEY[:2]}/{KEY}") == b"y" * size
