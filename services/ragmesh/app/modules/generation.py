"""The engines as a module."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import import_module

from ragmesh.app.wiring import Wiring
from ragmesh.generation.adapters.balancing import BalancedChat
from ragmesh.generation.adapters.carry_over import CarryOver
from ragmesh.generation.adapters.extractive import ExtractiveEngine
from ragmesh.generation.adapters.language_model import LanguageModelEngine, ModelRules
from ragmesh.generation.adapters.model_rewriter import ModelRewriter, RewriterRules
from ragmesh.generation.adapters.patience import Patience
from ragmesh.generation.ports import Engine, Rewriter
from ragmesh.generation.prices import FREE, Price
from ragmesh.generation.service import GenerationService
from ragmesh.generation.settings import EXTRACTIVE, EndpointSettings, GenerationSettings

_OPENAI_CHAT = "ragmesh.generation.adapters.openai_chat"
_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_generation(wiring: Wiring) -> AsyncIterator[GenerationService]:
    """The engines in their order of preference."""
    async with AsyncExitStack() as stack:
        engines = [
            await _open_engine(wiring, endpoint, stack)
            for endpoint in wiring.settings.generation.endpoints
        ]
        frugal = ExtractiveEngine(wiring.settings.generation.min_confidence)
        yield GenerationService(tuple(engines), _rewriters(wiring, engines), frugal)


def _rewriters(wiring: Wiring, engines: Sequence[Engine]) -> tuple[Rewriter, ...]:
    """The model that is to rewrite follow-up questions, if one is, and the rules behind it."""
    settings = wiring.settings.generation
    models = [
        ModelRewriter(
            RewriterRules(
                engine.rules.name,
                engine.rules.model,
                engine.rules.settings_digest,
                settings.rewriter_seconds,
                engine.rules.price,
            ),
            engine.endpoint,
            engine.spending,
            wiring.clock,
        )
        for engine in engines
        if isinstance(engine, LanguageModelEngine) and engine.rules.name == settings.rewriter
    ]
    return (*models, CarryOver())


async def _open_engine(wiring: Wiring, endpoint: EndpointSettings, stack: AsyncExitStack) -> Engine:
    settings = wiring.settings.generation
    if endpoint.kind == EXTRACTIVE:
        return ExtractiveEngine(settings.min_confidence, endpoint.name)
    # Takes a second, and only meshes with such an endpoint take it.
    await asyncio.to_thread(import_module, _OPENAI_CHAT)
    from ragmesh.generation.adapters.openai_chat import OpenAIEndpoint, open_openai_chat

    model = str(endpoint.model)
    price = _told_price(settings, endpoint.name, model)
    remote = OpenAIEndpoint.configured(settings, endpoint)
    chats = [
        await stack.enter_async_context(open_openai_chat(replace(remote, url=url), wiring.clock))
        for url in (remote.url, *endpoint.replica_urls)
    ]
    chat = BalancedChat(chats, wiring.clock, endpoint.first_token_seconds)
    rules = _rules(endpoint, model, settings.min_confidence, price)
    return LanguageModelEngine(rules, chat, wiring.telemetry.spending(), wiring.clock)


def _told_price(settings: GenerationSettings, engine: str, model: str) -> Price:
    """The price of a model, told once, so that costs can be traced to their table."""
    price = settings.prices.price_of(model)
    if price == FREE:
        _log.info("answers of a model count as free", extra={"engine": engine})
    else:
        version = settings.prices.version
        _log.info("answers of a model are priced", extra={"engine": engine, "prices": version})
    return price


def _rules(
    endpoint: EndpointSettings, model: str, min_confidence: float, price: Price
) -> ModelRules:
    return ModelRules(
        name=endpoint.name,
        model=model,
        min_confidence=min_confidence,
        context_tokens=endpoint.context_tokens,
        settings_digest=endpoint.digest,
        patience=Patience(
            attempts=endpoint.attempts,
            first_token_seconds=endpoint.first_token_seconds,
            token_seconds=endpoint.token_seconds,
            total_seconds=endpoint.total_seconds,
        ),
        price=price,
    )
