"""Writes that a search can rely on once they have returned.

What Weaviate acknowledges may be found late or, after a kill, never: a chunk whose write was
interrupted stays in its store, is missing from its vector index, and writing it again changes
nothing. So a write removes before it inserts, and is done when each chunk was found by its vector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragmesh.core.callers import ADMINS_ONLY
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
    of_revisions_below,
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
_UNKNOWN = Attributes(0, "", "", "", "{}", frozenset(), (), ADMINS_ONLY)
"""Of chunks whose write never ended."""


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
        if old is not None:
            if old.attributes.generation > attributes.generation:
                attributes = old.attributes
            await version.revisions.forget([old])
            version.heads.doubt(uid)
        objects = await self._analysed(version, (uid, revision), attributes, write.chunks)
        await version.chunks.remove(of_revision(uid, revision))
        await version.chunks.put(objects)
        await self._confirm(version, objects)
        drafts = [chunk.draft for chunk in write.chunks]
        digest = chunks_digest((draft.ordinal, draft.span, draft.text) for draft in drafts)
        record = Record(uid, revision, len(drafts), digest, attributes)
        await version.revisions.put([record])
        version.heads.doubt(uid)
        return record.told

    async def update_attributes(self, version: Version, write: AttributesWrite) -> None:
        """Replace the attributes of a revision, unless it has those of a later generation."""
        record = await version.revisions.get(write.document_uid, write.revision)
        if record is None or not record.is_held:
            raise _not_held()
        if write.attributes.generation <= record.attributes.generation:
            return
        objects = await self._objects(version, record)
        if len(objects) < record.chunk_count:
            raise _not_held()
        changed = await asyncio.to_thread(
            lambda: [with_attributes(version.analyzer, one, write.attributes) for one in objects]
        )
        await version.chunks.put(changed)
        await self._wait(changed)
        await version.revisions.put([replace(record, attributes=write.attributes)])

    async def delete(self, version: Version, document_uid: str, below_revision: int) -> int:
        """Have the revisions below held no longer; how many chunks they had.

        Searches under way still read them: they are removed when `sweep` comes by later.
        """
        known = [
            record
            for record in await version.revisions.of_document(document_uid)
            if record.revision < below_revision
        ]
        held = [record for record in known if record.is_held]
        now = self.clock.now().timestamp()
        left = await self._left_over(version, document_uid, below_revision, known)
        if held or left:
            await version.revisions.retire([*held, *left], now)
            version.heads.doubt(document_uid)
        return sum(record.chunk_count for record in (*held, *left))

    async def sweep(self, version: Version, retired: Sequence[Record]) -> None:
        """Remove for good what was deleted long enough ago."""
        before = self.clock.now().timestamp() - LEAVE_SECONDS
        due = [record for record in retired if record.retired_at <= before][:_MOST_SWEPT]
        for record in due:
            await version.chunks.remove(of_revision(record.document_uid, record.revision))
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
        uid = version.spec.index_version_uid
        ids = [
            chunk_id(uid, record.document_uid, record.revision, ordinal)
            for ordinal in range(record.chunk_count)
        ]
        found = await version.chunks.by_ids(ids, chunk_properties(version.spec), vectors=True)
        return [found[one] for one in ids if one in found]

    async def _confirm(self, version: Version, objects: Sequence[StoredObject]) -> None:
        """Return when every chunk is found by its vector and its words are ranked."""
        lacking = objects
        for _ in range(_ATTEMPTS):
            await self._wait(lacking)
            lacking = await self._not_found(version, objects)
            if not lacking:
                return
            await version.chunks.remove_ids([one.id for one in lacking])
            await version.chunks.put(lacking)
        raise StoreRefusedError(
            f"{version.chunks.link.server.name} does not find what it was given to keep",
            retry_after_seconds=self.flush_seconds,
        )

    async def _wait(self, written: Sequence[StoredObject]) -> None:
        """Let the server's memtables get to disk, if there is anything in them."""
        if written:
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

    async def _left_over(
        self, version: Version, document_uid: str, below_revision: int, known: Sequence[Record]
    ) -> list[Record]:
        """Revisions below of which there are chunks and no record: their writes never ended."""
        revisions = [record.revision for record in known]
        left: list[Record] = []
        while True:
            condition = of_revisions_below(document_uid, below_revision, revisions)
            some = await version.chunks.matching(condition, ("revision",), 1)
            if not some:
                return left
            revision = int(some[0].properties["revision"])
            count = await version.chunks.count(of_revision(document_uid, revision))
            left.append(Record(document_uid, revision, count, "", _UNKNOWN))
            revisions.append(revision)


def _not_held() -> RevisionNotFoundError:
    return RevisionNotFoundError("the index holds no such revision of the document")
