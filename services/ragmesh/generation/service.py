"""Runs a question's evidence through the engines until one of them answers."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from ragmesh.core.answers import (
    AnswerStatus,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    RewriteQuery,
    Rewritten,
    Usage,
)
from ragmesh.core.callers import Caller
from ragmesh.core.errors import InternalError, RagmeshError, UnsupportedError
from ragmesh.generation.ports import ENGINE_LOST, Engine, Rewriter
from ragmesh.generation.rewriting import rewritten_by

FALLBACK_ENGINE = "FALLBACK_ENGINE"
"""Degraded: a preferred engine could not be reached and another one answered."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GenerationService:
    """Streams answers; the first engine answers, the others stand in while it is away."""

    engines: tuple[Engine, ...]
    rewriters: tuple[Rewriter, ...] = ()
    """In the order of preference; without any, questions stay as they are asked."""
    frugal: Engine | None = None
    """Answers where nothing may be paid and every engine has a price, and where all are away."""

    def __post_init__(self) -> None:
        if not self.engines:
            raise ValueError("a generation service has at least one engine")

    async def generate(
        self,
        caller: Caller,  # noqa: ARG002 - the evidence was chosen for this caller already
        query: GenerateQuery,
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Deltas and citations, then exactly one Generated.

        Another engine starts only before the first event; after it, an engine that goes away
        ends the answer as PARTIAL.
        """
        engines = self._free() if query.free_only else self._to_the_last()
        for position, engine in enumerate(engines):
            run = _Run(engine, stand_in=position > 0)
            last = position == len(engines) - 1
            try:
                async with aclosing(run.events(query)) as events:
                    async for event in events:
                        yield event
            except RagmeshError as error:
                if not error.kind.transient or (last and not run.begun):
                    raise
                _log.warning(
                    "engine away", extra={"engine": run.description.engine, "reason": error.reason}
                )
            else:
                return
            if run.begun:
                yield run.cut_short()
                return
        if not engines:
            raise UnsupportedError("every engine has a price")

    async def rewrite_question(
        self,
        caller: Caller,  # noqa: ARG002 - nothing but what this caller has sent is read
        query: RewriteQuery,
    ) -> Rewritten:
        """The question as one that stands for itself."""
        allowed = [one for one in self.rewriters if not (query.free_only and one.is_paid)]
        return await rewritten_by(allowed, query)

    async def describe_engine(self) -> EngineDescription:
        """The engine that answers unless it is away."""
        return self._described(self.engines[0])

    async def list_models(self) -> tuple[EngineDescription, ...]:
        """Every engine in the order in which they are tried."""
        return tuple(self._described(engine) for engine in self.engines)

    def _to_the_last(self) -> tuple[Engine, ...]:
        """Every engine, and what needs none: sentences of the evidence are better than nothing."""
        return self.engines if self.frugal is None else (*self.engines, self.frugal)

    def _free(self) -> tuple[Engine, ...]:
        """The engines without a price."""
        free = tuple(engine for engine in self.engines if not engine.describe().is_paid)
        if free or self.frugal is None:
            return free
        return (self.frugal,)

    def _described(self, engine: Engine) -> EngineDescription:
        rewriter = self.rewriters[0].describe() if self.rewriters else ""
        every = [one.describe() for one in self.engines]
        return replace(
            engine.describe(),
            rewriter=rewriter,
            prompt_dollars=max(one.prompt_dollars for one in every),
            completion_dollars=max(one.completion_dollars for one in every),
        )


class _Run:
    """One engine's attempt at one answer, held to the rules of a stream."""

    def __init__(self, engine: Engine, *, stand_in: bool) -> None:
        self.description = engine.describe()
        self.begun = False
        self._engine = engine
        self._stand_in = stand_in

    async def events(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """The engine's events up to and including its Generated."""
        async with aclosing(_closable(self._engine.generate(query))) as events:
            async for event in events:
                self.begun = True
                if isinstance(event, Generated):
                    yield self._ended(event)
                    return
                yield event
        raise InternalError(f"the engine {self.description.engine} stopped without an end")

    def cut_short(self) -> Generated:
        """The end of an answer whose engine went away."""
        degraded = (ENGINE_LOST, FALLBACK_ENGINE) if self._stand_in else (ENGINE_LOST,)
        return Generated(AnswerStatus.PARTIAL, 0.0, 0.0, self.description.model, Usage(), degraded)

    def _ended(self, event: Generated) -> Generated:
        if not self._stand_in:
            return event
        return Generated(
            status=event.status,
            confidence=event.confidence,
            groundedness=event.groundedness,
            model=event.model,
            usage=event.usage,
            degraded=(*event.degraded, FALLBACK_ENGINE),
        )


def _closable(events: AsyncIterator[GenerationEvent]) -> AsyncGenerator[GenerationEvent, None]:
    """Engines are async generators; typed as iterators in the port, as their clients are."""
    return cast("AsyncGenerator[GenerationEvent, None]", events)
