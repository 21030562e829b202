"""The generation settings are closed and stand for engines that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragmesh.generation.prices import FREE, Price
from ragmesh.generation.settings import EndpointSettings, GenerationSettings

MODEL = {"name": "main", "kind": "openai", "url": "https://llm.example/v1", "model": "m"}
PRICE = {"model": "m", "prompt_dollars": 2.0, "completion_dollars": 8.0}


def test_without_settings_answers_are_quotes() -> None:
    settings = GenerationSettings()
    assert [endpoint.kind for endpoint in settings.endpoints] == ["extractive"]
    assert 0 < settings.min_confidence < 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoints": ()},
        {"endpoints": ({"kind": "oracle"},)},
        {"endpoints": ({}, {})},
        {"endpoints": ({"kind": "openai", "url": "https://llm.example/v1"},)},
        {"endpoints": ({**MODEL, "url": "llm.example"},)},
        {"endpoints": ({**MODEL, "url": "file:///etc/passwd"},)},
        {"endpoints": ({"url": "https://llm.example/v1"},)},
        {"endpoints": ({**MODEL, "parameters": {"messages": []}},)},
        {"endpoints": ({**MODEL, "replica_urls": ["llm.example"]},)},
        {"endpoints": ({"replica_urls": ["https://llm.example/v1"]},)},
        {"prices": {"models": (PRICE,)}},
        {"prices": {"version": "1", "models": (PRICE, PRICE)}},
        {"rewriter": "nobody"},
        {"rewriter": "extractive"},
        {"rewriter_seconds": 0},
        {"min_confidence": 1.1},
        {"min_confidence": -0.1},
        {"temperature": 1},
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerationSettings.model_validate(wrong)


def test_a_key_comes_from_a_file_and_the_endpoints_own_goes_first(tmp_path: Path) -> None:
    for name in ("shared", "own"):
        (tmp_path / name).write_text(f"{name}-key\n", encoding="utf-8")
    settings = GenerationSettings.model_validate(
        {
            "endpoints": [
                MODEL,
                {**MODEL, "name": "other", "api_key_file": str(tmp_path / "own")},
            ],
            "api_key_file": str(tmp_path / "shared"),
        }
    )
    assert [settings.key_of(endpoint) for endpoint in settings.endpoints] == [
        "shared-key",
        "own-key",
    ]
    assert "own-key" not in repr(settings)
    assert GenerationSettings().key_of(EndpointSettings()) == ""


def test_a_price_is_found_by_the_name_of_its_model() -> None:
    settings = GenerationSettings.model_validate({"prices": {"version": "1", "models": [PRICE]}})
    assert settings.prices.price_of("m") == Price(2.0, 8.0)
    assert settings.prices.price_of("another") == FREE
    assert Price(2.0, 8.0).of(1_000_000, 500_000) == 6.0


def test_what_is_sent_decides_the_digest_and_a_key_does_not() -> None:
    plain = EndpointSettings.model_validate(MODEL)
    keyed = EndpointSettings.model_validate({**MODEL, "api_key": "k"})
    warm = EndpointSettings.model_validate({**MODEL, "parameters": {"temperature": 1}})
    assert plain.digest == keyed.digest != warm.digest
