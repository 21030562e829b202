"""The cache from afar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from ragmesh.api.cache.v1 import cache_service_pb2 as pb
from ragmesh.api.cache.v1.cache_service_pb2_grpc import CacheServiceStub, HitCacheServiceStub
from ragmesh.chassis.breakers import Breaker
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.clocks import SystemClock
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
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InvalidError, PeerUnavailableError, RagmeshError
from ragmesh.core.search import Retrieval, StoredHits
from ragmesh.core.vectors import Vector

_SERVICE = pb.DESCRIPTOR.services_by_name["CacheService"].full_name
IDEMPOTENT_METHODS = tuple(f"{_SERVICE}/{method}" for method in ("Invalidate", "GetStats"))
"""Methods for the channel to send again. What is looked up or stored is not worth it: whoever asks
does without sooner than a second attempt is made."""

PATIENCE_SECONDS = 0.5
"""How long a cache that hangs is waited for. To find what it holds takes a tenth of it."""
MOST_FAILURES = 2
"""In a row, after which the cache is passed by without being asked."""
REST_SECONDS = 1.0
"""Then one caller a second tries whether it is back."""
TRIAL_SECONDS = 0.02
"""How long that one waits for it: what is known to hang costs nobody more."""


class CacheClient:
    """A CacheService over a channel that the chassis made; one that is away costs nobody time."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        caller_signer: CallerSigner,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._stub = CacheServiceStub(channel)
        self._hit_stub = HitCacheServiceStub(channel)
        self._signer = caller_signer
        self._patience_seconds = patience_seconds
        clock = SystemClock() if clock is None else clock
        self._breaker = Breaker(clock, _left_alone, MOST_FAILURES, REST_SECONDS)

    async def lookup_answer(self, caller: Caller, key: str) -> StoredAnswer | None:
        """The stored answer under this key, None when there is none that is still true."""
        reply = await self._ask(self._stub.LookupAnswer, pb.LookupAnswerRequest(key=key), caller)
        with reading("the cache"):
            return stored_answer_from_message(reply.answer) if reply.HasField("answer") else None

    async def store_answer(self, caller: Caller, entry: StoredAnswer) -> bool:
        """Keep the answer; False when it is unfit, too old or overtaken by a change."""
        request = pb.StoreAnswerRequest(answer=stored_answer_to_message(entry))
        reply = await self._ask(self._stub.StoreAnswer, request, caller)
        return bool(reply.stored)

    async def check_read(self, caller: Caller, read: ReadMark) -> bool:
        """Whether an answer from this read would be served now; False when nobody can tell."""
        request = pb.CheckReadRequest(read=read_mark_to_message(read))
        reply = await self._ask(self._stub.CheckRead, request, caller)
        return bool(reply.holds)

    async def lookup_hits(self, caller: Caller, key: str) -> Retrieval | None:
        """The hits of the search with this key, None when there are none that are still true."""
        reply = await self._ask(self._hit_stub.LookupHits, pb.LookupHitsRequest(key=key), caller)
        with reading("the cache"):
            return retrieval_from_message(reply.retrieval) if reply.HasField("retrieval") else None

    async def store_hits(self, caller: Caller, entry: StoredHits) -> bool:
        """Keep the hits; False when they are degraded, too old or overtaken by a change."""
        request = stored_hits_to_message(entry)
        reply = await self._ask(self._hit_stub.StoreHits, request, caller)
        return bool(reply.stored)

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
        reply = await self._ask(self._stub.LookupVectors, request, None)
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
        await self._ask(self._stub.StoreVectors, request, None)

    async def get_stats(self) -> CacheStats:
        """What is held and what happened since the cache's process started."""
        reply = await self._stub.GetStats(pb.GetStatsRequest(), metadata=self._signer.metadata())
        with reading("the cache"):
            return cache_stats_from_message(reply)

    async def _ask(self, method: Any, request: Any, caller: Caller | None) -> Any:
        """The reply, unless the cache is away or slow: then it is left alone for a moment."""
        patience = TRIAL_SECONDS if self._breaker.is_open else self._patience_seconds
        self._breaker.enter()
        try:
            reply = await method(request, timeout=patience, metadata=self._signer.metadata(caller))
        except RagmeshError as error:
            if error.kind.transient:
                self._breaker.failed()
            raise
        self._breaker.answered()
        return reply


def _left_alone(seconds: float) -> PeerUnavailableError:
    return PeerUnavailableError(
        "the service cache has not answered and is left alone",
        metadata={"peer": "cache"},
        retry_after_seconds=seconds,
    )
