"""The settings of an endpoint reach the provider: its key, its parameters, its price."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from ragmesh.app.modules.generation import open_generation
from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring
from ragmesh.chassis.clocks import SystemClock
from ragmesh.chassis.telemetry.opening import OFF
from ragmesh.core.answers import AnswerStatus
from ragmesh.testing.generation import ask_of
from ragmesh.testing.generation_contract import CALLER, follow_up, said
from ragmesh.testing.provider import fake_provider, refuse

QUERY = ask_of("Do dogs bark at strangers?", ["Dogs bark at strangers."])
PRICES = {"version": "1", "models": [{"model": "fake-chat", "completion_dollars": 500_000}]}


def wiring_of(endpoints: list[dict[str, Any]], **more: object) -> Wiring:
    generation = {"endpoints": endpoints, "api_key": "sesame", "prices": PRICES, **more}
    settings = Settings.model_validate({"generation": generation})
    return Wiring(settings, cast("Any", None), SystemClock(), False, {"telemetry": OFF})


async def test_an_endpoint_answers_as_its_settings_say_and_quotes_stand_in_for_it() -> None:
    async with fake_provider("Dogs bark at strangers [1].") as provider:
        provider.api_key = "sesame"
        main = {
            "name": "main",
            "kind": "openai",
            "url": provider.url,
            "model": "fake-chat",
            "parameters": {"temperature": 0.5},
            "attempts": 1,
        }
        async with open_generation(wiring_of([main, {}])) as service:
            names = [engine.engine for engine in await service.list_models()]
            assert names == ["main", "extractive"]
            answer = await said(service.generate(CALLER, QUERY))
            assert answer.end.status is AnswerStatus.ANSWERED
            assert (answer.end.model, answer.end.usage.cost_dollars) == ("fake-chat", 2.5)
            assert provider.calls[0].body["temperature"] == 0.5
            provider.fail(refuse(500))
            quoted = await said(service.generate(CALLER, QUERY))
            assert (quoted.end.model, quoted.end.degraded) == ("extractive", ("FALLBACK_ENGINE",))


async def test_a_model_that_is_named_rewrites_follow_ups_and_rules_stand_in_for_it() -> None:
    async with fake_provider("Do dogs bark in winter?") as provider:
        provider.api_key = "sesame"
        main = {"name": "main", "kind": "openai", "url": provider.url, "model": "fake-chat"}
        wiring = wiring_of([{}, main], rewriter="main", rewriter_seconds=5)
        async with open_generation(wiring) as service:
            assert (await service.describe_engine()).rewriter.startswith("main/fake-chat/")
            rewritten = await service.rewrite_question(CALLER, follow_up("Why do dogs bark?"))
            assert rewritten.question.text == "Do dogs bark in winter?"
            assert (rewritten.usage.cost_dollars > 0, rewritten.degraded) == (True, ())
            assert "Why do dogs bark?" in provider.calls[0].body["messages"][-1]["content"]
            provider.fail(refuse(500))
            carried = await service.rewrite_question(CALLER, follow_up("Why do dogs bark?"))
            assert "dogs" in carried.question.text
            assert carried.degraded == ("FALLBACK_REWRITER",)


async def test_the_table_that_prices_a_model_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="ragmesh")
    priced = {"name": "main", "kind": "openai", "url": "http://127.0.0.1:9/v1"}
    endpoints = [{**priced, "model": "fake-chat"}, {**priced, "name": "b", "model": "unlisted"}]
    async with open_generation(wiring_of(endpoints)):
        told = [(record.message, vars(record).get("prices")) for record in caplog.records]
    assert told == [
        ("answers of a model are priced", "1"),
        ("answers of a model count as free", None),
    ]


async def test_a_model_at_several_addresses_is_asked_at_each_in_turn_whoever_fails() -> None:
    async with fake_provider("Dogs bark [1].") as one, fake_provider("Dogs bark [1].") as other:
        main = {
            "name": "main",
            "kind": "openai",
            "url": one.url,
            "replica_urls": [other.url],
            "model": "fake-chat",
        }
        async with open_generation(wiring_of([main])) as service:
            answers = [await said(service.generate(CALLER, QUERY)) for _ in range(2)]
            assert (len(one.calls), len(other.calls)) == (1, 1)
            one.fail(refuse(500))
            answers.append(await said(service.generate(CALLER, QUERY)))
            assert len(other.calls) == 2
            assert {answer.end.degraded for answer in answers} == {()}
