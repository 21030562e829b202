"""The generation settings are closed and stand for engines that exist."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragmesh.generation.settings import GenerationSettings


def test_without_settings_answers_are_quotes() -> None:
    settings = GenerationSettings()
    assert settings.endpoints == ("extractive",)
    assert 0 < settings.min_confidence < 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoints": ()},
        {"endpoints": ("oracle",)},
        {"endpoints": ("extractive", "extractive")},
        {"min_confidence": 1.1},
        {"min_confidence": -0.1},
        {"temperature": 1},
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerationSettings.model_validate(wrong)
