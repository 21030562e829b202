"""The objects of one Weaviate tenant: found by ids, by condition or in order, kept and removed.

No call asks for more than a server gives by default, nor sends more than it takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weaviate.proto.v1 import (
    aggregate_pb2,
    base_search_pb2,
    batch_delete_pb2,
    batch_pb2,
    search_get_pb2,
)

from ragmesh.core.errors import StorageFullError, StoreRefusedError
from ragmesh.retrieval.adapters.weaviate.conditions import Condition, with_ids
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink, quoted
from ragmesh.retrieval.adapters.weaviate.objects import StoredObject, read_object
from ragmesh.retrieval.adapters.weaviate.together import together

NIL_ID = "00000000-0000-0000-0000-000000000000"
"""Before every other in the order of ids."""
MOST_AT_ONCE = 500
"""Most objects that one call reads by their ids."""
_MOST_WRITTEN = 256
_MOST_WRITTEN_BYTES = 16 * 1024 * 1024
_AT_ONCE = 16
_READ_ONLY = "READONLY"
_FULL_SECONDS = 5.0
_OBJECT_BYTES = 4_096
"""About what an object takes beside its text."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that a search found, with how well it fits."""

    stored: StoredObject
    score: float


@dataclass(frozen=True, slots=True)
class Shard:
    """One tenant of a collection; "" = the whole of one that has no tenants."""

    link: WeaviateLink
    collection: str
    tenant: str = ""

    async def by_ids(
        self, ids: Sequence[str], properties: Sequence[str], *, vectors: bool = False
    ) -> dict[str, StoredObject]:
        """Those of the objects that are there, by id."""
        found: dict[str, StoredObject] = {}
        for some in _slices(ids):
            request = self._request(properties, len(some), vectors=vectors)
            request.filters.CopyFrom(with_ids(some))
            reply = await self.link.search(request)
            found.update((one.id, one) for one in map(read_object, reply.results))
        return found

    async def by_key(self, id: str) -> StoredObject | None:
        """The object of an id, found in the store itself and not by an index of it."""
        told = await self.link.find(self._path(id))
        return None if told is None else StoredObject(id, told["properties"])

    async def in_order(
        self, after: str, properties: Sequence[str], limit: int
    ) -> list[StoredObject]:
        """The first objects after an id, in the order of ids."""
        request = self._request(properties, limit, vectors=False)
        request.after = after
        reply = await self.link.search(request)
        return [read_object(result) for result in reply.results]

    async def nearest(
        self, vector: bytes, condition: Condition | None, properties: Sequence[str], limit: int
    ) -> list[Found]:
        """The objects with the likest vectors; the score is the cosine."""
        request = self._request(properties, limit, vectors=False)
        request.metadata.distance = True
        request.near_vector.CopyFrom(base_search_pb2.NearVector(vector_bytes=vector))
        if condition is not None:
            request.filters.CopyFrom(condition)
        reply = await self.link.search(request)
        return [Found(read_object(one), 1.0 - one.metadata.distance) for one in reply.results]

    async def worded(
        self,
        query: base_search_pb2.BM25,
        condition: Condition | None,
        properties: Sequence[str],
        limit: int,
    ) -> list[Found]:
        """The objects that hold the words best, with their vectors; the score is BM25's."""
        request = self._request(properties, limit, vectors=True)
        request.metadata.score = True
        request.bm25_search.CopyFrom(query)
        if condition is not None:
            request.filters.CopyFrom(condition)
        reply = await self.link.search(request)
        return [Found(read_object(one), one.metadata.score) for one in reply.results]

    async def count(self, condition: Condition | None = None) -> int:
        """How many objects there are, or pass the condition."""
        request = aggregate_pb2.AggregateRequest(
            collection=self.collection, tenant=self.tenant, objects_count=True
        )
        if condition is not None:
            request.filters.CopyFrom(condition)
        return await self.link.count(request)

    async def put(self, objects: Sequence[StoredObject]) -> None:
        """Keep the objects, instead of those with their ids."""
        for some in _batches(objects):
            messages = [one.message(self.collection, self.tenant) for one in some]
            async with self._writing():
                await self.link.insert(batch_pb2.BatchObjectsRequest(objects=messages))

    async def flush(self, id: str) -> None:
        """Have the server write into its files what it has kept so far; id is of any object.

        It answers a batch before the vectors of that batch have left its memory, and writes them
        with whatever changes the tenant next: here a removal that it is told only to try.
        """
        request = batch_delete_pb2.BatchDeleteRequest(
            collection=self.collection, tenant=self.tenant, filters=with_ids([id]), dry_run=True
        )
        async with self._writing():
            await self.link.delete(request)

    async def remove(self, condition: Condition) -> int:
        """Remove what passes the condition; how many there were."""
        request = batch_delete_pb2.BatchDeleteRequest(
            collection=self.collection, tenant=self.tenant, filters=condition
        )
        async with self._writing():
            return await self.link.delete(request)

    async def remove_keys(self, ids: Sequence[str]) -> None:
        """Remove the objects with these ids, of which any may be gone already.

        One by one, from the store itself: after a kill no index of it may know them.
        """
        for at in range(0, len(ids), _AT_ONCE):
            async with self._writing():
                paths = map(self._path, ids[at : at + _AT_ONCE])
                await together(self.link.remove(path) for path in paths)

    def _path(self, id: str) -> str:
        tenant = f"?tenant={quoted(self.tenant)}" if self.tenant else ""
        return f"objects/{self.collection}/{id}{tenant}"

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Weaviate sets a tenant to read-only when its disk is nearly full; say so."""
        try:
            yield
        except StoreRefusedError as error:
            told = await self.link.require(
                "GET", f"schema/{self.collection}/shards?tenant={quoted(self.tenant)}"
            )
            if any(shard.get("status") == _READ_ONLY for shard in told):
                raise StorageFullError(
                    "Weaviate takes no writes: its disk is nearly full, or"
                    " somebody has set the tenant to read-only",
                    retry_after_seconds=_FULL_SECONDS,
                ) from error
            raise

    def _request(
        self, properties: Sequence[str], limit: int, *, vectors: bool
    ) -> search_get_pb2.SearchRequest:
        return search_get_pb2.SearchRequest(
            collection=self.collection,
            tenant=self.tenant,
            limit=limit,
            metadata=search_get_pb2.MetadataRequest(uuid=True, vector=vectors),
            properties=search_get_pb2.PropertiesRequest(non_ref_properties=properties),
            # The shapes of messages that this program reads and writes.
            uses_123_api=True,
            uses_125_api=True,
            uses_127_api=True,
        )


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + MOST_AT_ONCE] for at in range(0, len(ids), MOST_AT_ONCE))


def _batches(objects: Iterable[StoredObject]) -> Iterator[list[StoredObject]]:
    batch: list[StoredObject] = []
    size = 0
    for one in objects:
        takes = _OBJECT_BYTES + len(one.vector) + sum(map(_length, one.properties.values()))
        if batch and (len(batch) == _MOST_WRITTEN or size + takes > _MOST_WRITTEN_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += takes
    if batch:
        yield batch


def _length(value: object) -> int:
    return 2 * len(value) if isinstance(value, str) else 0
