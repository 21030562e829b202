"""Writes that a search can rely on once they have returned.

What Weaviate was given before a kill may be in its store and missing from any of its indexes, and
writing it again changes nothing, since an equal object is there. So a write leaves a record when it
begins; one that finds such a record removes before it inserts, by keys, because conditions and ids
are looked up in those indexes. It is done when the server has written the vectors into its files,
its memtables had time to get to disk, and each chunk was found by its vector after that.

Nor does Weaviate change an object at one moment: it is missing from its indexes for some
milliseconds, and others of a batch are not. So whatever changes a revision writes new objects, on
the side of it that is not read, and removes the others when these are whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RevisionNotFoundError, StoreRefusedError, UnavailableError
from ragmesh.core.ids import chunk_id
from ragmesh.core.index import (
    Attributes,
    AttributesWrite,
    Chunk,
    DocumentDigest,
    DocumentWrite,
    chunks_digest,
)
from ragmesh.retrieval.adapters.weaviate.conditions import (
    of_revision,
    with_ids,
)
from ragmesh.retrieval.adapters.weaviate.objects import (
    StoredObject,
    chunk_objects,
    object_id,
    read_chunk,
    with_attributes,
)
from ragmesh.retrieval.adapters.weaviate.revisions import Record, new_attempt
from ragmesh.retrieval.adapters.weaviate.schema import chunk_properties
from ragmesh.retrieval.adapters.weaviate.shard import MOST_AT_ONCE
from ragmesh.retrieval.adapters.weaviate.version import Version

SIDES = (0, 1)
LEAVE_SECONDS = 60.0
"""How long chunks that were deleted stay for searches that began before."""
_MOST_SWEPT = 100
"""Revisions that one listing removes for good."""
_ATTEMPTS = 3
_AGAIN_SECONDS = 1.0
_CONFIRMED = ("generation",)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes into any index version."""

    clock: Clock
    flush_seconds: float
    """After so long the server's memtables are on disk, and keywords are ranked rightly."""

    async def write(self, version: Version, write: DocumentWrite) -> DocumentDigest:
        """Keep the chunks of a revision instead of those that it has."""
        uid, revision = write.document_uid, write.revision
        old = await version.revisions.get(uid, revision)
        attributes = write.attributes
        if old is not None and old.attributes.generation > attributes.generation:
            attributes = old.attributes
        drafts = [chunk.draft for chunk in write.chunks]
        digest = chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts)
        new = Record(uid, revision, len(write.chunks), digest, attributes)
        if old is not None and await self._holds(version, old, new, write.chunks):
            return (await self._tidied(version, old)).told
        objects = await self._analysed(version, (uid, revision), attributes, write.chunks)
        return (await self._replace(version, old, new, objects)).told

    async def update_attributes(self, version: Version, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        record = await version.revisions.get(write.document_uid, write.revision)
        if record is None or not record.is_held:
            raise _not_held()
        if write.attributes.generation <= record.attributes.generation:
            await self._tidied(version, record)
            return
        objects = await self._objects(version, record)
        if len(objects) < record.chunk_count:
            raise _not_held()
        changed = await asyncio.to_thread(
            lambda: [with_attributes(version.analyzer, one, write.attributes) for one in objects]
        )
        await self._replace(version, record, replace(record, attributes=write.attributes), changed)

    async def delete(self, version: Version, document_uid: str, below_revision: int) -> int:
        """Have the revisions below held no longer; how many chunks they had.

        Searches under way still read them: they are removed when `sweep` comes by later.
        """
        gone = [
            record
            for record in await version.revisions.of_document(document_uid)
            if record.revision < below_revision and not record.is_retired
        ]
        if gone:
            await version.revisions.retire(gone, self.clock.now().timestamp())
            version.heads.doubt(document_uid)
        return sum(record.chunk_count for record in gone)

    async def sweep(self, version: Version, retired: Sequence[Record]) -> None:
        """Remove for good what was deleted long enough ago."""
        before = self.clock.now().timestamp() - LEAVE_SECONDS
        due = [record for record in retired if record.retired_at <= before][:_MOST_SWEPT]
        for record in due:
            await self._remove(version, record)

    async def read(self, version: Version, document_uid: str, revision: int) -> tuple[Chunk, ...]:
        """What is held of a revision, by ordinal."""
        record = await version.revisions.get(document_uid, revision)
        if record is None or not record.is_held:
            return ()
        return tuple(read_chunk(one) for one in await self._objects(version, record))

    async def _remove(self, version: Version, record: Record) -> None:
        """Remove a revision and its record, unless somebody has begun to write it again."""
        owner = (record.document_uid, record.revision)
        if await version.revisions.get(*owner) != record:
            return
        if record.digest and not record.other_count:
            await version.chunks.remove(of_revision(*owner))
        else:  # an index may not know what was being written
            most = max(record.chunk_count, record.other_count)
            for side in SIDES:
                await version.chunks.remove_keys(_ids(version, owner, side, most))
        if await version.revisions.get(*owner) == record:  # many keys take their time
            await version.revisions.forget([record])

    async def _analysed(
        self,
        version: Version,
        owner: tuple[str, int],
        attributes: Attributes,
        chunks: Sequence[Chunk],
    ) -> list[StoredObject]:
        uid = version.spec.index_version_uid
        return await asyncio.to_thread(
            chunk_objects, version.analyzer, uid, owner, attributes, chunks
        )

    async def _objects(self, version: Version, record: Record) -> list[StoredObject]:
        """The chunks of a revision by ordinal, as far as they are there."""
        owner = (record.document_uid, record.revision)
        ids = _ids(version, owner, record.side, record.chunk_count)
        found = await version.chunks.by_ids(ids, chunk_properties(version.spec), vectors=True)
        return [found[one] for one in ids if one in found]

    async def _holds(
        self, version: Version, old: Record, new: Record, chunks: Sequence[Chunk]
    ) -> bool:
        """Whether a revision is there as it would be written: somebody else has done it."""
        if not old.is_held or old.digest != new.digest:
            return False
        if old.attributes.generation < new.attributes.generation:
            return False
        ids = _ids(version, (old.document_uid, old.revision), old.side, len(chunks))
        objects = [
            StoredObject(one, {"generation": old.attributes.generation}, chunk.vector.values)
            for one, chunk in zip(ids, chunks, strict=True)
        ]
        return not await self._not_found(version, objects)

    async def _replace(
        self, version: Version, old: Record | None, new: Record, objects: Sequence[StoredObject]
    ) -> Record:
        """Write the chunks beside what is read, have them read, and remove what was read before.

        UnavailableError when somebody else began to change the same revision meanwhile.
        """
        owner = (new.document_uid, new.revision)
        most, other, side = new.chunk_count, 0, SIDES[0]
        if old is not None:
            most = other = max(most, old.chunk_count, old.other_count)
            side = 1 - old.side
        new = replace(new, side=side, other_count=other, attempt=new_attempt(), retired_at=0.0)
        if old is not None and old.digest:  # it is read until the other side is whole
            begun = replace(old, other_count=other, attempt=new.attempt)
        else:
            begun = replace(new, chunk_count=most, digest="")
        await self._require_unchanged(version, owner, old)
        await self._record(version, begun)
        ids = _ids(version, owner, side, most)
        if old is not None:
            await self._require_alone(version, new)
            await version.chunks.remove_keys(ids)
        placed = [replace(one, id=ids[int(one.properties["ordinal"])]) for one in objects]
        await self._keep(version, new, placed)
        await self._require_alone(version, new)
        await self._record(version, new)
        return await self._emptied(version, new)

    async def _tidied(self, version: Version, record: Record) -> Record:
        """The record of a revision once nothing is left of a change that has not ended."""
        if not record.other_count:
            return record
        await self._require_unchanged(version, (record.document_uid, record.revision), record)
        taken = replace(record, attempt=new_attempt())  # whoever is still at it gives way
        await self._record(version, taken)
        return await self._emptied(version, taken)

    async def _emptied(self, version: Version, record: Record) -> Record:
        """The record once the side that is not read is empty."""
        if not record.other_count:
            return record
        await self._require_alone(version, record)
        owner = (record.document_uid, record.revision)
        others = _ids(version, owner, 1 - record.side, record.other_count)
        await version.chunks.remove_keys(others)
        await self._require_alone(version, record)  # many keys take their time
        emptied = replace(record, other_count=0)
        await self._record(version, emptied)
        return emptied

    async def _record(self, version: Version, record: Record) -> None:
        await version.revisions.put([record])
        version.heads.doubt(record.document_uid)

    async def _require_unchanged(
        self, version: Version, owner: tuple[str, int], record: Record | None
    ) -> None:
        """UnavailableError when the record is not what it was when this attempt began."""
        if await version.revisions.get(*owner) != record:
            raise self._overtaken()

    async def _require_alone(self, version: Version, record: Record) -> None:
        """UnavailableError when the record is not of this attempt any more."""
        found = await version.revisions.get(record.document_uid, record.revision)
        if found is None or found.attempt != record.attempt:
            raise self._overtaken()

    def _overtaken(self) -> UnavailableError:
        return UnavailableError(
            "another process changes the same revision in the index",
            retry_after_seconds=max(self.flush_seconds, _AGAIN_SECONDS),
        )

    async def _keep(
        self, version: Version, record: Record, objects: Sequence[StoredObject]
    ) -> None:
        """Return when chunks are found by their vectors, after a kill too, and words are ranked.

        The order is decisive: what is found was in the memory of the server that was told to write
        it into its files, or has been read from there by one that was started since.
        """
        lacking = objects
        for _ in range(_ATTEMPTS):
            await self._require_alone(version, record)
            await self._put(version, lacking)
            lacking = await self._not_found(version, objects)
            if not lacking:
                return
            await self._require_alone(version, record)
            await version.chunks.remove_keys([one.id for one in lacking])
        raise StoreRefusedError(
            "Weaviate does not find what it was given to keep",
            retry_after_seconds=self.flush_seconds,
        )

    async def _put(self, version: Version, objects: Sequence[StoredObject]) -> None:
        """Put the chunks, have their vectors written, and let the memtables get to disk."""
        if objects:
            await version.chunks.put(objects)
            await version.chunks.flush(objects[0].id)
            await self.clock.sleep(self.flush_seconds)

    async def _not_found(
        self, version: Version, objects: Sequence[StoredObject]
    ) -> list[StoredObject]:
        """Chunks that are missing from the store or from its vector index, or are not these.

        Among so few ids it looks at every vector, so all that it knows come back. One of another
        generation was put by somebody who had been overtaken, and did not know it yet.
        """
        found: set[tuple[str, int]] = set()
        for at in range(0, len(objects), MOST_AT_ONCE):
            some = objects[at : at + MOST_AT_ONCE]
            hits = await version.chunks.nearest(
                some[0].vector, with_ids([one.id for one in some]), _CONFIRMED, len(some)
            )
            found.update(map(_confirmed, (hit.stored for hit in hits)))
        return [one for one in objects if _confirmed(one) not in found]


def _ids(version: Version, owner: tuple[str, int], side: int, count: int) -> list[str]:
    """The ids of the objects on one side of a revision."""
    document_uid, revision = owner
    uid = version.spec.index_version_uid
    return [
        object_id(chunk_id(uid, document_uid, revision, ordinal), side) for ordinal in range(count)
    ]


def _confirmed(stored: StoredObject) -> tuple[str, int]:
    return stored.id, int(stored.properties["generation"])


def _not_held() -> RevisionNotFoundError:
    return RevisionNotFoundError("the index holds no such revision of the document")
