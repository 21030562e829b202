"""Generation from afar."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from ragmesh.api.generation.v1 import generation_service_pb2 as pb
from ragmesh.api.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.messages.generation import (
    engine_from_message,
    generate_query_to_message,
    generation_event_from_message,
    rewrite_query_to_message,
    rewritten_from_message,
)
from ragmesh.clients.replies import opened, reading
from ragmesh.core.answers import (
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
)
from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.errors import InternalError, InvalidError, RagmeshError

_SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"].full_name
IDEMPOTENT_METHODS = (f"{_SERVICE}/ListModels",)
"""Methods for the channel to send again. What a model may have been paid for is not."""
REMEMBERED_SECONDS = 5.0
"""How long a description is taken for what it still is.

The gateway asks before every question, and the answer changes only when generation is restarted
with other settings. What is late is bounded: for this long the key of a question names the engine
before, so a cached answer of that engine is given once more, and a new answer is not kept (the
gateway keeps none of another model than the key's). Only new rules under the old model's name
are filed under the old key, to be found by a mesh that goes back to the old rules within the
entry's life. Without the memory the same race remains between two replicas of a rollout.
"""

DESCRIBE_SECONDS = 2.0
"""How long the description is waited for; it is ready in memory."""

_log = logging.getLogger(__name__)


class GenerationClient:
    """A GenerationService over a channel that the chassis made."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        caller_signer: CallerSigner,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._stub = GenerationServiceStub(channel)
        self._signer = caller_signer
        self._clock: Clock = SystemClock() if clock is None else clock
        self._described: tuple[EngineDescription, float] | None = None

    async def generate(
        self, caller: Caller, query: GenerateQuery
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Deltas and citations, then exactly one Generated; closing it cancels the call."""
        stream = self._stub.Generate(
            generate_query_to_message(query), metadata=self._signer.metadata(caller)
        )
        ended = False
        async with aclosing(opened(stream)) as messages:
            # Read to its end, past the Generated: a call that is left earlier counts as cancelled.
            async for message in messages:
                with reading("generation"):
                    event = generation_event_from_message(message)
                if ended:
                    raise InternalError("generation went on after the end of its answer")
                ended = isinstance(event, Generated)
                yield event
        if not ended:
            raise InternalError("generation stopped without saying how its answer ended")

    async def rewrite_question(self, caller: Caller, query: RewriteQuery) -> Rewritten:
        """The question as one that stands for itself."""
        reply = await self._stub.RewriteQuestion(
            rewrite_query_to_message(query), metadata=self._signer.metadata(caller)
        )
        with reading("generation"):
            return rewritten_from_message(reply)

    async def describe_engine(self) -> EngineDescription:
        """The engine that answers unless it is away, as it was at most REMEMBERED_SECONDS ago.

        While generation does not answer, it is taken for what it was: what is cached needs no
        engine, and what is not fails where the engine is needed.
        """
        now = self._clock.monotonic()
        if self._described is not None and now < self._described[1]:
            return self._described[0]
        try:
            engine = await self._ask_for_engine()
        except RagmeshError as error:
            if self._described is None or not error.kind.transient:
                raise
            engine = self._described[0]
            _log.warning("generation is taken for what it was", extra={"reason": error.reason})
        self._described = engine, self._clock.monotonic() + REMEMBERED_SECONDS
        return engine

    async def _ask_for_engine(self) -> EngineDescription:
        reply = await self._stub.ListModels(
            pb.ListModelsRequest(page_size=1),
            timeout=DESCRIBE_SECONDS,
            metadata=self._signer.metadata(),
        )
        with reading("generation"):
            if not reply.models:
                raise InvalidError.of("models", "must hold at least one")
            return engine_from_message(reply.models[0])
