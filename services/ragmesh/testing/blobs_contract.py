"""The promises that every BlobStore keeps: subclass, and give the fixture `opener`.

`opener()` opens the store, empty at first; opened again it is the same one after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest

from ragmesh.core.errors import StoreDamagedError
from ragmesh.indexing.ports import BlobStore
from ragmesh.indexing.records import StoredBlob

OpenBlobs = Callable[[], AbstractAsyncContextManager[BlobStore]]


async def stored(blobs: BlobStore) -> dict[str, StoredBlob]:
    """Everything that is listed, by key."""
    return {blob.key: blob async for batch in blobs.list_blobs() for blob in batch}


class BlobStoreContract:
    """Bytes are whole and durable, or not there at all, under keys that say nothing."""

    async def test_what_was_written_is_read_again_after_a_restart(self, opener: OpenBlobs) -> None:
        contents = [b"", b"one", b"one", bytes(range(256)) * 1_000]
        async with opener() as blobs:
            keys = await blobs.write_blobs(contents)
            assert len(set(keys)) == len(contents)
        async with opener() as blobs:
            assert [await blobs.read_blob(key) for key in keys] == contents
            assert set(await stored(blobs)) == set(keys)

    async def test_nothing_to_write_makes_nothing(self, opener: OpenBlobs) -> None:
        async with opener() as blobs:
            assert await blobs.write_blobs([]) == ()
            assert await stored(blobs) == {}

    async def test_equal_contents_written_at_once_get_keys_of_their_own(
        self, opener: OpenBlobs
    ) -> None:
        async with opener() as blobs:
            written = await asyncio.gather(*(blobs.write_blobs([b"same"]) for _ in range(8)))
            keys = {key for (key,) in written}
            assert len(keys) == 8
            assert set(await stored(blobs)) == keys

    async def test_a_blob_tells_when_it_was_stored(self, opener: OpenBlobs) -> None:
        async with opener() as blobs:
            (key,) = await blobs.write_blobs([b"new"])
            age = datetime.now(UTC) - (await stored(blobs))[key].stored_at
            assert abs(age) < timedelta(minutes=1)

    async def test_deleted_blobs_are_gone_and_may_be_deleted_again(self, opener: OpenBlobs) -> None:
        async with opener() as blobs:
            first, second = await blobs.write_blobs([b"1", b"2"])
            for _ in range(2):
                await blobs.delete_blobs([first])
            await blobs.delete_blobs([])
        async with opener() as blobs:
            assert set(await stored(blobs)) == {second}
            with pytest.raises(StoreDamagedError) as caught:
                await blobs.read_blob(first)
            assert caught.value.metadata == {"blob": first}

    @pytest.mark.parametrize("key", ["../../etc/passwd", "", "A" * 32, "0" * 31])
    async def test_a_key_that_the_store_never_gave_is_not_followed(
        self, opener: OpenBlobs, key: str
    ) -> None:
        async with opener() as blobs:
            with pytest.raises(StoreDamagedError):
                await blobs.read_blob(key)
