"""Writes that a search can rely on once they have returned.

What Weaviate was given before a kill may be in its store and missing from any of its indexes, and
writing it again changes nothing, since an equal object is there. So a write leaves a record when it
begins; one that finds such a record removes before it inserts, by keys, because conditions and ids
are looked up in those indexes. It is done when the server has written the vectors into its files,
its memtables had time to get to disk, and each chunk was found by its vector after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmesh.core.clock import Clock
from ragmesh.core.errors import RevisionNotFoundError, StoreRefusedError
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
    read_chunk,
    with_attributes,
)
from ragmesh.retrieval.adapters.weaviate.revisions import Record
from ragmesh.retrieval.adapters.weaviate.schema import chunk_properties
from ragmesh.retrieval.adapters.weaviate.shard import MOST_AT_ONCE
from ragmesh.retrieval.adapters.weaviate.version import Version

LEAVE_SECONDS = 60.0
"""How long chunks that were deleted stay for searches that began before."""
_MOST_SWEPT = 100
"""Revisions that one listing removes for good."""
_ATTEMPTS = 3


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
        attributes, count = write.attributes, len(write.chunks)
        if old is not None and old.attributes.generation > attributes.generation:
            attributes = old.attributes
        most = count if old is None else max(count, old.chunk_count)
        await version.revisions.put([Record(uid, revision, most, "", attributes)])
        version.heads.doubt(uid)
        if old is not None:
            await version.chunks.remove_keys(_chunk_ids(version, (uid, revision), most))
        objects = await self._analysed(version, (uid, revision), attributes, write.chunks)
        await self._keep(version, objects)
        drafts = [chunk.draft for chunk in write.chunks]
        digest = chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts)
        record = Record(uid, revision, count, digest, attributes)
        await version.revisions.put([record])
        version.heads.doubt(uid)
        return record.told

    async def update_attributes(self, version: Version, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        record = await version.revisions.get(write.document_uid, write.revision)
        if record is None or not record.is_held:
            raise _not_held()
        generation = write.attributes.generation
        if generation <= record.attributes.generation:
            return
        objects = await self._objects(version, record)
        # What an interrupted update has changed cannot be changed again: Weaviate would see no
        # difference, and leave its indexes as they are. The revision is written anew.
        if record.updating or len(objects) < record.chunk_count:
            raise _not_held()
        await version.revisions.put([replace(record, updating=generation)])
        changed = await asyncio.to_thread(
            lambda: [with_attributes(version.analyzer, one, write.attributes) for one in objects]
        )
        await self._keep(version, changed)
        await version.revisions.put([replace(record, attributes=write.attributes)])

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
            owner = (record.document_uid, record.revision)
            if record.digest and not record.updating:
                await version.chunks.remove(of_revision(*owner))
            else:  # an index may not know what was being written
                await version.chunks.remove_keys(_chunk_ids(version, owner, record.chunk_count))
        if due:
            await version.revisions.forget(due)

    async def read(self, version: Version, document_uid: str, revision: int) -> tuple[Chunk, ...]:
        """What is held of a revision, by ordinal."""
        record = await version.revisions.get(document_uid, revision)
        if record is None or not record.is_held:
            return ()
        return tuple(read_chunk(one) for one in await self._objects(version, record))

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
        ids = _chunk_ids(version, owner, record.chunk_count)
        found = await version.chunks.by_ids(ids, chunk_properties(version.spec), vectors=True)
        return [found[one] for one in ids if one in found]

    async def _keep(self, version: Version, objects: Sequence[StoredObject]) -> None:
        """Return when chunks are found by their vectors, after a kill too, and words are ranked.

        The order is decisive: what is found was in the memory of the server that was told to write
        it into its files, or has been read from there by one that was started since.
        """
        lacking = objects
        for _ in range(_ATTEMPTS):
            await self._put(version, lacking)
            lacking = await self._not_found(version, objects)
            if not lacking:
                return
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
        """Chunks that are missing from the store or from its vector index.

        Among so few ids it looks at every vector, so all that it knows come back.
        """
        found: set[str] = set()
        for at in range(0, len(objects), MOST_AT_ONCE):
            some = objects[at : at + MOST_AT_ONCE]
            hits = await version.chunks.nearest(
                some[0].vector, with_ids([one.id for one in some]), (), len(some)
            )
            found.update(hit.stored.id for hit in hits)
        return [one for one in objects if one.id not in found]


def _chunk_ids(version: Version, owner: tuple[str, int], count: int) -> list[str]:
    document_uid, revision = owner
    uid = version.spec.index_version_uid
    return [chunk_id(uid, document_uid, revision, ordinal) for ordinal in range(count)]


def _not_held() -> RevisionNotFoundError:
    return RevisionNotFoundError("the index holds no such revision of the document")
