"""Like lengths share a batch, and every text is in exactly one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragmesh.embedding.batching import LengthSorted, batches

LENGTHS = st.lists(st.integers(2, 256), max_size=60)


@given(LENGTHS, st.integers(1, 4096))
def test_every_text_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    positions = [position for batch in batches(lengths, budget) for position in batch]
    assert sorted(positions) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 4096))
def test_no_batch_but_a_single_text_is_over_the_budget(lengths: list[int], budget: int) -> None:
    for batch in batches(lengths, budget):
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(LENGTHS, st.integers(1, 4096))
def test_padding_never_doubles_a_wide_batch(lengths: list[int], budget: int) -> None:
    for batch in batches(lengths, budget):
        width = max(lengths[i] for i in batch)
        assert width <= 32 or width <= 2 * min(lengths[i] for i in batch)


def test_the_longest_come_first_so_that_the_last_batches_are_cheap() -> None:
    assert list(batches([10, 200, 12, 190], 512)) == [[1, 3], [2, 0]]


def test_the_budget_may_change_between_batches() -> None:
    waiting = LengthSorted([20, 20, 20, 20])
    assert [len(waiting.take(0)), len(waiting.take(1000)), bool(waiting)] == [1, 3, False]
