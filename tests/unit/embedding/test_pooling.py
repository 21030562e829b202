"""A sentence's vector is the mean of the tokens that begin in it, at unit length, as int8."""

from __future__ import annotations

import numpy as np
import pytest

from ragmesh.core.spans import Span
from ragmesh.embedding.adapters.pooling import pool_sentences

TOKENS = np.array([[3, 0], [1, 4], [0, -2], [5, 5]], np.float32)
STARTS = np.array([0, 4, 9, 12], np.int64)


def rows(*spans: Span) -> list[list[int]]:
    pooled = pool_sentences(TOKENS, STARTS, spans)
    return np.frombuffer(pooled.values, np.int8).reshape(-1, 2).tolist()


def test_the_mean_of_the_sentences_tokens_is_scaled_to_127() -> None:
    # (3+1, 0+4)/2 = (2, 2), whose direction is (√½, √½); 127·√½ = 89.8
    assert rows(Span(0, 8)) == [[90, 90]]


def test_each_sentence_has_its_own_row_in_its_order() -> None:
    assert rows(Span(9, 12), Span(0, 3), Span(4, 8)) == [[0, -127], [127, 0], [31, 123]]


def test_a_token_belongs_to_the_sentence_in_which_it_begins() -> None:
    # The second token spans 4 to 9; cut at 6, it is wholly of the first sentence.
    assert rows(Span(0, 6), Span(6, 12)) == [[90, 90], [0, -127]]


@pytest.mark.parametrize("span", [Span(2, 4), Span(5, 5), Span(13, 20)])
def test_a_sentence_without_tokens_is_a_row_of_zeros(span: Span) -> None:
    assert rows(span) == [[0, 0]]


def test_a_passage_without_sentences_has_no_rows() -> None:
    pooled = pool_sentences(TOKENS, STARTS, ())
    assert (pooled.count, pooled.dimension) == (0, 2)


def test_tokens_that_cancel_out_are_a_row_of_zeros_and_not_of_nan() -> None:
    opposite = np.array([[1, -1], [-1, 1]], np.float32)
    pooled = pool_sentences(opposite, np.array([0, 2]), (Span(0, 4),))
    assert pooled.values == b"\0\0"
