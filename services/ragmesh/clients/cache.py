"""The cache from afar."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.api.cache.v1.cache_service_pb2_grpc import CacheServiceStub, HitCacheServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.cache import (
    cache_stats_from_message,
    invalidation_to_message,
    read_mark_to_message,
    stored_answer_from_message,
    stored_answer_to_message,
    stored_hits_to_message,
)
from ragmesh.chassis.messages.search import retrieval_from_message
from ragmesh.chassis.messages.texts import all_sendable
from ragmesh.chassis.messages.vectors import vector_from_message, vector_to_message
from ragmesh.clients.replies import reading
from ragmesh.core.answers import CacheStats, Invalidation, ReadMark, StoredAnswer
from ragmesh.core.callers import Caller
from ragmesh.core.errors import InvalidError
from ragmesh.core.search import Retrieval, StoredHits
from ragmesh.core.vectors import Vector

_SERVICE = pb.DESCRIPTOR.services_by_name["CacheService"].full_name
_HIT_SERVICE = pb.DESCRIPTOR.services_by_name["HitCacheService"].full_name
IDEMPOTENT_METHODS = (
    *(
        f"{_SERVICE}/{method}"
        for method in ("LookupAnswer", "CheckRead", "LookupVectors", "Invalidate", "GetStats")
    ),
    f"{_HIT_SERVICE}/LookupHits",
)
"""Methods for the channel to send again. What is stored is not worth a second attempt."""

VECTOR_SECONDS = 1.0
"""How long vectors are waited for. To make one takes a hundredth of it, and whoever asks for an
answer waits for a cache that hangs no longer than this, twice: to look up and to store."""


class CacheClient:
    """A CacheService over a channel that the chassis made."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        caller_signer: CallerSigner,
        *,
        vector_seconds: float = VECTOR_SECONDS,
    ) -> None:
        self._stub = CacheServiceStub(channel)
        self._hit_stub = HitCacheServiceStub(channel)
        self._signer = caller_signer
        self._vector_seconds = vector_seconds

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """The stored answer under this key, None when there is none that is still true."""
        reply = await self._stub.LookupAnswer(
            pb.LookupAnswerRequest(key=key), metadata=self._signer.metadata(caller)
        )
        with reading("the cache"):
            return stored_answer_from_message(reply.answer) if reply.HasField("answer") else None

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep the answer; False when it is unfit, too old or overtaken by a change."""
        request = pb.StoreAnswerRequest(answer=stored_answer_to_message(entry))
        reply = await self._stub.StoreAnswer(request, metadata=self._signer.metadata(caller))
        return reply.stored

    async def check_read(self, caller: Caller, read: ReadMark) -> bool:
        """Whether an answer from this read would be served now; False when nobody can tell."""
        request = pb.CheckReadRequest(read=read_mark_to_message(read))
        reply = await self._stub.CheckRead(request, metadata=self._signer.metadata(caller))
        return reply.holds

    async def lookup_hits(self, caller: Caller, key: str) -> Retrieval | None:
        """The hits of the search with this key, None when there are none that are still true."""
        reply = await self._hit_stub.LookupHits(
            pb.LookupHitsRequest(key=key), metadata=self._signer.metadata(caller)
        )
        with reading("the cache"):
            return retrieval_from_message(reply.retrieval) if reply.HasField("retrieval") else None

    async def store_hits(self, caller: Caller, entry: StoredHits) -> bool:
        """Keep the hits; False when they are degraded, too old or overtaken by a change."""
        request = stored_hits_to_message(entry)
        reply = await self._hit_stub.StoreHits(request, metadata=self._signer.metadata(caller))
        return reply.stored

    async def invalidate(self, caller: Caller, invalidations: Sequence[Invalidation]) -> None:
        """Once this returns, nothing older than these changes is served or stored any more."""
        request = pb.InvalidateRequest(
            invalidations=[invalidation_to_message(change) for change in invalidations]
        )
        await self._stub.Invalidate(request, metadata=self._signer.metadata(caller))

    async def lookup_vectors(
        self, fingerprint: str, texts: Sequence[str]
    ) -> tuple[Vector | None, ...]:
        """The known vector of each text, in their order."""
        request = pb.LookupVectorsRequest(
            fingerprint=fingerprint, texts=all_sendable(texts, field="texts")
        )
        reply = await self._stub.LookupVectors(
            request, timeout=self._vector_seconds, metadata=self._signer.metadata()
        )
        with reading("the cache"):
            if len(reply.slots) != len(texts):
                raise InvalidError.of("slots", "must be as many as there are texts")
            return tuple(
                vector_from_message(slot.vector, field=f"slots[{position}].vector")
                if slot.HasField("vector")
                else None
                for position, slot in enumerate(reply.slots)
            )

    async def store_vectors(
        self, fingerprint: str, texts: Sequence[str], vectors: Sequence[Vector]
    ) -> None:
        """Keep the vector of each text."""
        request = pb.StoreVectorsRequest(
            fingerprint=fingerprint,
            texts=all_sendable(texts, field="texts"),
            vectors=[vector_to_message(vector) for vector in vectors],
        )
        await self._stub.StoreVectors(
            request, timeout=self._vector_seconds, metadata=self._signer.metadata()
        )

    async def get_stats(self) -> CacheStats:
        """What is held and what happened since the cache's process started."""
        reply = await self._stub.GetStats(pb.GetStatsRequest(), metadata=self._signer.metadata())
        with reading("the cache"):
            return cache_stats_from_message(reply)
