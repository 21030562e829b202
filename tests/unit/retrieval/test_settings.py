"""Retrieval's settings hold what the service starts with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ragmesh.retrieval.follower import Patience
from ragmesh.retrieval.settings import RetrievalSettings


def test_the_defaults_are_those_of_the_service() -> None:
    assert RetrievalSettings().patience == Patience()


def test_settings_reach_the_follower() -> None:
    settings = RetrievalSettings(first_heads_seconds=1.5, stale_after_seconds=7)
    assert settings.patience == Patience(first_heads_seconds=1.5, stale_after_seconds=7)


@pytest.mark.parametrize("field", ["first_heads_seconds", "stale_after_seconds", "threads"])
def test_none_of_them_may_be_zero(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        RetrievalSettings.model_validate({field: 0})
