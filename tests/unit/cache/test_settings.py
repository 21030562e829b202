"""The cache's settings say in people's units what its stores are made with."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragmesh.cache.settings import CacheSettings


def test_the_memory_of_changes_outlives_the_longest_question_by_default() -> None:
    limits = CacheSettings().answer_limits()
    assert limits.memory_seconds >= 300 + 60
    assert limits.refresh_seconds < limits.ttl_seconds


def test_megabytes_become_bytes() -> None:
    settings = CacheSettings(answer_megabytes=1.5, vector_megabytes=0.25, memory_changes=7)
    limits = settings.answer_limits()
    assert (limits.size_bytes, limits.memory_entries) == (1_500_000, 7)
    assert settings.vector_bytes() == 250_000


def test_a_password_in_a_url_is_refused_with_the_place_it_belongs() -> None:
    with pytest.raises(ValidationError, match="must not hold a password"):
        CacheSettings(url="rediss://mesh:secret@cache/1")
    assert CacheSettings(url="rediss://mesh@cache.example:6380/1").redis.password is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "memcached://cache"},
        {"url": "redis://:secret@cache"},
        {"url": "redis://mesh:secret@cache:6379/0"},
        {"redis": {"prefix": "with:colon"}},
        {"redis": {"budget_milliseconds": 0}},
        {"ttl_seconds": 0},
        {"memory_seconds": 59},
        {"answer_megabytes": -1},
        {"surprise": 1},
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CacheSettings.model_validate(wrong)
