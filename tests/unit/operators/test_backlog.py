"""What the page `/backlog` says is what workers are scaled by, or why they are not."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import UnavailableError
from ragmesh_operator.adapters.backlog import reading_of
from ragmesh_operator.scaling import Reading


def test_what_waits_in_all_lanes_and_what_was_published_counts() -> None:
    told = {"live": 3, "bulk": 4, "total": 7, "published": 5}
    assert reading_of(1.5, told) == Reading(1.5, waiting=7, published=5)


def test_a_page_that_does_not_know_says_why() -> None:  # AS-5
    with pytest.raises(UnavailableError) as caught:
        reading_of(1.5, {"status": "the event log does not answer"})
    assert caught.value.message == "the backlog is not told: the event log does not answer"


def test_what_is_no_such_page_ends_nobody() -> None:
    with pytest.raises(UnavailableError):
        reading_of(1.5, [])
