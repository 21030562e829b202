"""Every fault of a provider at every stage, met by the real client over a real socket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

import pytest

from ragmesh.chassis.clocks import SystemClock
from ragmesh.core.answers import AnswerStatus, GenerateQuery, Usage
from ragmesh.core.errors import (
    Kind,
    ProviderOverloadedError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RagmeshError,
)
from ragmesh.generation.adapters.language_model import LanguageModelEngine, ModelRules
from ragmesh.generation.adapters.openai_chat import OpenAIEndpoint, open_openai_chat
from ragmesh.generation.adapters.patience import Patience
from ragmesh.generation.ports import ENGINE_LOST
from ragmesh.generation.prices import Price
from ragmesh.generation.service import FALLBACK_ENGINE, GenerationService
from ragmesh.testing.chat import CountedSpending
from ragmesh.testing.clocks import ManualClock
from ragmesh.testing.generation import ask_of
from ragmesh.testing.generation_contract import CALLER, Said, said
from ragmesh.testing.provider import (
    FakeProvider,
    Fault,
    changed_model,
    cut,
    end_early,
    error_event,
    fake_provider,
    refuse,
    stall,
    wrong_json,
)

TOKENS = ["Dogs", " bark", " at", " strangers", " [1]", "."]
QUERY = ask_of("Do dogs bark at strangers?", ["Dogs bark at strangers. They sleep at night."])
PRICE = Price(2.0, 10.0)
_QUICK = Patience(attempts=1, first_token_seconds=20.0, token_seconds=20.0)
Opened = Callable[..., LanguageModelEngine]


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider(TOKENS) as provider:
        yield provider


@pytest.fixture
async def engine(provider: FakeProvider) -> AsyncIterator[LanguageModelEngine]:
    endpoint = OpenAIEndpoint("main", provider.url, "fake-chat", {"temperature": 0}, "sesame")
    rules = ModelRules("main", "fake-chat", 0.2, 8_000, patience=_QUICK, price=PRICE)
    async with open_openai_chat(endpoint, SystemClock()) as chat:
        yield LanguageModelEngine(rules, chat, CountedSpending(), _RealTime(), lambda: 0.0)


class _RealTime(ManualClock):
    """Pauses take no time; what a provider takes is its own."""

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


def told(engine: LanguageModelEngine) -> list[tuple[str, Usage]]:
    assert isinstance(engine.spending, CountedSpending)
    return engine.spending.told


async def ask(engine: LanguageModelEngine, query: GenerateQuery = QUERY) -> Said | RagmeshError:
    try:
        return await said(engine.generate(query))
    except RagmeshError as error:
        return error


def patient(engine: LanguageModelEngine, **limits: float) -> None:
    patience = dataclasses.replace(_QUICK, **limits)  # type: ignore[arg-type]
    engine.rules = dataclasses.replace(engine.rules, patience=patience)


async def test_an_answer_has_the_usage_and_cost_that_the_provider_counted(
    provider: FakeProvider, engine: LanguageModelEngine
) -> None:
    provider.api_key = "sesame"
    answer = await ask(engine)
    assert isinstance(answer, Said)
    assert answer.text == "Dogs bark at strangers [1]."
    assert answer.end.status is AnswerStatus.ANSWERED
    request = provider.calls[0].body
    prompt = sum(len(message["content"].split()) for message in request["messages"])
    assert answer.end.usage == Usage(prompt, len(TOKENS), PRICE.of(prompt, len(TOKENS)))
    assert (request["temperature"], request["model"]) == (0, "fake-chat")
    assert told(engine) == []


BEFORE = {
    "429": (refuse(429, retry_after="7"), ProviderOverloadedError, 7.0),
    "429 without a word": (refuse(429), ProviderOverloadedError, None),
    "500": (refuse(500), ProviderUnavailableError, None),
    "503 with a date": (
        refuse(503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"),
        ProviderUnavailableError,
        0.0,
    ),
    "401": (refuse(401), ProviderRefusedError, None),
    "400": (refuse(400), ProviderRefusedError, None),
    "cut before the headers": (cut(), ProviderUnavailableError, None),
    "cut before the first token": (cut(at_token=0), ProviderUnavailableError, None),
    "ended before the first token": (end_early(0), ProviderUnavailableError, None),
    "an error instead of tokens": (error_event(0), ProviderReplyError, None),
    "no JSON": (wrong_json(), ProviderReplyError, None),
}


@pytest.mark.parametrize(("fault", "error", "wait"), BEFORE.values(), ids=BEFORE)
async def test_a_fault_before_the_first_word_is_told_by_kind_and_a_stand_in_answers(
    provider: FakeProvider,
    engine: LanguageModelEngine,
    fault: Fault,
    error: type[RagmeshError],
    wait: float | None,
) -> None:
    provider.fail(fault, fault)
    outcome = await ask(engine)
    assert type(outcome) is error
    assert outcome.kind in {Kind.UNAVAILABLE, Kind.EXHAUSTED}
    assert outcome.retry_after_seconds == wait
    service = GenerationService((engine, engine))
    answer = await said(service.generate(CALLER, QUERY))
    assert (answer.end.status, answer.end.degraded) == (AnswerStatus.ANSWERED, (FALLBACK_ENGINE,))


@pytest.mark.parametrize("fault", [refuse(429), refuse(500), cut(), cut(at_token=0), wrong_json()])
async def test_what_may_help_is_tried_again_before_the_first_word(
    provider: FakeProvider, engine: LanguageModelEngine, fault: Fault
) -> None:
    patient(engine, attempts=3)
    provider.fail(fault, fault)
    answer = await ask(engine)
    assert isinstance(answer, Said)
    assert (len(provider.calls), answer.end.degraded) == (3, ())


@pytest.mark.parametrize("token", range(1, len(TOKENS) + 1))
@pytest.mark.parametrize("make", [lambda k: cut(at_token=k), end_early, error_event])
async def test_a_provider_that_dies_at_any_token_ends_the_answer_as_partial(
    provider: FakeProvider,
    engine: LanguageModelEngine,
    make: Callable[[int], Fault],
    token: int,
) -> None:
    patient(engine, attempts=3)
    provider.fail(make(token))
    answer = await ask(engine)
    assert isinstance(answer, Said)
    assert answer.text
    assert "Dogs bark at strangers [1].".startswith(answer.text)
    assert (answer.end.status, answer.end.degraded) == (AnswerStatus.PARTIAL, (ENGINE_LOST,))
    assert (answer.end.usage.completion_tokens, len(provider.calls)) == (token, 1)


async def test_wrong_json_in_mid_answer_ends_it_as_partial(
    provider: FakeProvider, engine: LanguageModelEngine
) -> None:
    provider.fail(wrong_json(at_token=2))
    answer = await ask(engine)
    assert isinstance(answer, Said)
    assert (answer.text, answer.end.status) == ("Dogs bark", AnswerStatus.PARTIAL)


@pytest.mark.parametrize("token", [None, 0, 2])
async def test_a_stall_is_given_up_and_its_connection_closed(
    provider: FakeProvider, engine: LanguageModelEngine, token: int | None
) -> None:
    patient(engine, first_token_seconds=0.3, token_seconds=0.3)
    provider.fail(stall(at_token=token))
    outcome = await ask(engine)
    call = await provider.call()
    await call.ended.wait()
    assert not call.finished
    if token:
        assert isinstance(outcome, Said)
        assert outcome.end.status is AnswerStatus.PARTIAL
    else:
        assert isinstance(outcome, ProviderTimeoutError)


@pytest.mark.parametrize("token", [None, 0, 1, 4])
async def test_a_client_that_leaves_stops_the_provider_and_no_token_comes_after(
    provider: FakeProvider, engine: LanguageModelEngine, token: int | None
) -> None:
    patient(engine, first_token_seconds=30, token_seconds=30)
    provider.fail(stall(at_token=token))

    async def read() -> None:
        async with aclosing(engine.generate(QUERY)) as events:
            async for _ in events:
                pass

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        call = await provider.call()
        await call.has_sent(token or 0)
        provider.mark_cancel()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    await call.ended.wait()
    assert (call.tokens_after_cancel, call.finished) == (0, False)
    ((model, usage),) = told(engine)
    assert model == "fake-chat"
    assert usage.completion_tokens <= (token or 0)
    assert usage.cost_dollars > 0


async def test_a_changed_model_is_another_one_in_the_key_of_the_cache(
    provider: FakeProvider, engine: LanguageModelEngine
) -> None:
    await ask(engine)
    before = engine.describe()
    provider.fail(changed_model())
    answer = await ask(engine)
    assert isinstance(answer, Said)
    assert answer.end.model == before.model
    assert engine.describe() != before


async def test_a_context_of_a_hundred_thousand_tokens_is_sent_whole_or_cut_to_its_limit(
    provider: FakeProvider, engine: LanguageModelEngine
) -> None:
    passages = ["Dogs bark at strangers. " + f"word{n} " * 1_000 for n in range(100)]
    query = ask_of("Do dogs bark at strangers?", passages)
    engine.rules = dataclasses.replace(engine.rules, context_tokens=200_000)
    assert isinstance(await ask(engine, query), Said)
    engine.rules = dataclasses.replace(engine.rules, context_tokens=10_100)
    assert isinstance(await ask(engine, query), Said)
    sizes = [call.body["messages"][-1]["content"].count("<source id=") for call in provider.calls]
    assert sizes == [100, 10]
