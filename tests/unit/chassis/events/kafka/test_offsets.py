"""What is committed says what is done behind the lowest unfinished event, as far as it has room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragmesh.chassis.events.kafka.offsets import WORDS_LIMIT, Progress, Tries

TRIES = st.builds(Tries, st.integers(0, 99), st.integers(0, 3))


@given(st.integers(0, 2**60), st.dictionaries(st.integers(0, 400), TRIES, max_size=200))
def test_progress_survives_the_way_into_words_and_back(start: int, ahead: dict[int, Tries]) -> None:
    unfinished = {start + step: tries for step, tries in ahead.items()}
    offset = min(unfinished, default=start + 401)
    progress = Progress(offset, start + 401, unfinished)
    assert Progress.read(offset, progress.write()) == progress


def test_what_there_is_no_room_for_comes_again_and_nothing_unfinished_is_called_done() -> None:
    unfinished = {offset: Tries(7, 2) for offset in range(0, 20_000, 2)}
    progress = Progress(0, 20_000, unfinished)
    words = progress.write()
    read = Progress.read(0, words)
    assert len(words) <= WORDS_LIMIT
    assert 0 < read.taken < 20_000
    assert all(read.tries_of(offset) is not None for offset in unfinished)
    assert read.tries_of(1) is None


@pytest.mark.parametrize("words", ["", "words of somebody else", "1", "1;x", "1;5;y,z", "2;5;1"])
def test_words_that_nobody_understands_call_nothing_done(words: str) -> None:
    read = Progress.read(5, words)
    assert [read.tries_of(offset) for offset in range(5, 20)] == [Tries()] * 15
