"""An engine that lets a language model write, and lets out only what is safe and cited."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from ragmesh.chassis.breakers import Breaker
from ragmesh.chassis.provider_breakers import provider_breaker
from ragmesh.core.answers import (
    AnswerStatus,
    Delta,
    EngineDescription,
    Generated,
    GenerateQuery,
    GenerationEvent,
    Usage,
)
from ragmesh.core.clock import Clock
from ragmesh.core.errors import ProviderRefusedError, RagmeshError
from ragmesh.generation.adapters.evidence import weigh
from ragmesh.generation.adapters.languages import language_of, no_context_sentence
from ragmesh.generation.adapters.patience import Patience
from ragmesh.generation.adapters.prompt import PROMPT_VERSION, prompt_digest, prompt_of
from ragmesh.generation.adapters.writing import Paper, Writing
from ragmesh.generation.ports import ChatEndpoint, Spending
from ragmesh.generation.prices import FREE, Price

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelRules:
    """What besides the endpoint decides what an engine answers, and what that costs."""

    name: str
    """Of the endpoint, as the settings call it."""
    model: str
    min_confidence: float
    context_tokens: int
    settings_digest: str = ""
    """Of everything else that is sent: address and parameters."""
    patience: Patience = field(default_factory=Patience)
    price: Price = FREE


@dataclass(slots=True)
class LanguageModelEngine:
    """Answers with a model's words, each citation checked against what the model was given."""

    rules: ModelRules
    endpoint: ChatEndpoint
    spending: Spending
    clock: Clock
    jitter: Callable[[], float] = random.random
    _breaker: Breaker = field(init=False)
    _reported: str = ""
    """The model that the provider last said answered."""

    def __post_init__(self) -> None:
        self._breaker = provider_breaker(self.clock)

    async def generate(self, query: GenerateQuery) -> AsyncGenerator[GenerationEvent, None]:
        """Stream the answer; the model is not asked about evidence that is too weak."""
        language = language_of(query.question.text, query.language)
        confidence = weigh(query.retrieval, language).confidence
        if not query.retrieval.hits or confidence < self.rules.min_confidence:
            yield Delta(no_context_sentence(language))
            yield Generated(AnswerStatus.NO_CONTEXT, confidence, 0.0, self.rules.model, Usage())
            return
        paper = Paper(
            prompt=prompt_of(query, context_tokens=self.rules.context_tokens),
            model=self.rules.model,
            price=self.rules.price,
            language=language,
            collection_language=query.language,
            confidence=confidence,
        )
        async with aclosing(self._write(paper)) as events:
            async for event in events:
                yield event

    async def _write(self, paper: Paper) -> AsyncGenerator[GenerationEvent, None]:
        """Ask the provider, and again while that may help and nothing has been said."""
        self._breaker.enter()
        tries = self.rules.patience.begin(self.clock, self.jitter)
        while True:
            writing = Writing(paper, self.spending, self._saw_model)
            stream = tries.timed(self.endpoint.complete(paper.prompt.messages))
            try:
                async with aclosing(writing.events(stream)) as events:
                    async for event in events:
                        self._breaker.answered()
                        yield event
            except ProviderRefusedError as error:
                # It will refuse again until its operator has changed something.
                self._breaker.failed()
                extra = {"engine": self.rules.name, "detail": error.message}
                _log.warning("a provider refuses", extra=extra)
                raise
            except RagmeshError as error:
                wait = None if writing.begun else tries.wait_after(error)
                if wait is None:
                    self._breaker.failed()
                    raise
                _log.info("a provider is asked again", extra={"reason": error.reason})
                await self.clock.sleep(wait)
            else:
                return

    def describe(self) -> EngineDescription:
        """The prompt, its parameters, and the model behind the name as far as it is known."""
        rules = self.rules
        parts = [
            f"{PROMPT_VERSION}-{prompt_digest()}",
            f"{rules.min_confidence:g}",
            str(rules.context_tokens),
            rules.settings_digest,
            self._reported,
        ]
        return EngineDescription(
            rules.name,
            rules.model,
            "/".join(filter(None, parts)),
            prompt_dollars=rules.price.prompt_dollars,
            completion_dollars=rules.price.completion_dollars,
        )

    def _saw_model(self, reported: str) -> None:
        """Note which model really answered; another one makes other answers under one name."""
        if reported and self._reported and reported != self._reported:
            _log.warning("another model answers", extra={"engine": self.rules.name})
        if reported and reported != self.rules.model:
            self._reported = reported
