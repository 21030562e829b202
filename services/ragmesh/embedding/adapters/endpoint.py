"""One embeddings API: bounded in time, tried again where that helps, and its vectors checked."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import openai

from ragmesh.chassis.breakers import Breaker
from ragmesh.chassis.events.retrying import Retry, RetryPolicy
from ragmesh.chassis.providers import provider_errors
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RagmeshError,
)
from ragmesh.core.vectors import Lane
from ragmesh.embedding.settings import EndpointSettings

Floats = npt.NDArray[np.float32]

_RETRIES = RetryPolicy(first_delay_seconds=0.25, longest_delay_seconds=8.0)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Calls of one model."""

    name: str
    """Of the encoder, for errors."""
    client: openai.AsyncOpenAI = field(repr=False)
    settings: EndpointSettings
    clock: Clock
    breaker: Breaker = field(repr=False)
    """For questions: of passages none is waited for by somebody."""

    async def embed(self, texts: Sequence[str], lane: Lane) -> Floats:
        """A row of unit length a text, in their order.

        The question's lane waits for no more than one answer's time before the next try: who asks
        is better told at once when the provider wants to be left alone for longer, and does not
        wait for one that was silent to others.
        """
        patience = self._timeout(lane)
        attempt = 1
        while True:
            if lane is Lane.QUERY:
                self.breaker.enter()
            try:
                return await self._heard(self._embed_once(texts, lane))
            except ProviderRefusedError:
                raise  # what is wrong with the request stays wrong
            except RagmeshError as error:
                verdict = _RETRIES.judge(error, attempt=attempt, strikes=0)
                if attempt >= self.settings.tries or not isinstance(verdict, Retry):
                    raise
                if verdict.delay_seconds > patience:
                    raise
            await self.clock.sleep(verdict.delay_seconds)
            attempt += 1

    async def _heard(self, asked: Awaitable[Floats]) -> Floats:
        """The reply; the breaker is told whether there was one."""
        try:
            reply = await asked
        except (ProviderTimeoutError, ProviderUnavailableError):
            self.breaker.failed()
            raise
        except RagmeshError:
            self.breaker.answered()
            raise
        self.breaker.answered()
        return reply

    async def _embed_once(self, texts: Sequence[str], lane: Lane) -> Floats:
        settings = self.settings
        with provider_errors(self.name, self.clock.now()):
            reply = await self.client.embeddings.create(
                model=settings.model,
                input=list(texts),
                dimensions=settings.dimension if settings.request_dimension else openai.omit,
                timeout=self._timeout(lane),
            )
            by_index = {item.index: item.embedding for item in reply.data}
            rows = [by_index.get(position) for position in range(len(texts))]
        found = [row for row in rows if row is not None]
        if len(found) < len(texts) or len(reply.data) != len(texts):
            raise self._unusable(f"sent {len(reply.data)} vectors for {len(texts)} texts")
        return self._checked(found)

    def _checked(self, rows: Sequence[Sequence[float]]) -> Floats:
        wanted = self.settings.dimension
        for row in rows:
            if len(row) != wanted:
                raise self._unusable(f"sent vectors of {len(row)} numbers, not of {wanted}")
        matrix = np.array(rows, np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise self._unusable("sent a vector that is zero or holds what is no number")
        rows_of_unit_length: Floats = matrix / lengths
        return rows_of_unit_length

    def _timeout(self, lane: Lane) -> float:
        settings = self.settings
        return settings.timeout_seconds if lane is Lane.QUERY else settings.bulk_timeout_seconds

    def _unusable(self, what: str) -> ProviderReplyError:
        return ProviderReplyError(f"{self.name} {what}", metadata={"provider": self.name})
