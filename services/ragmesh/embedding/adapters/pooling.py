"""Sentence vectors come from the passage's own forward pass: the mean of a sentence's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ragmesh.core.spans import Span
from ragmesh.core.vectors import SentenceVectors, Vector

INT8_SCALE = 127


def pool_sentences(
    tokens: npt.NDArray[np.float32], starts: npt.NDArray[np.int64], sentences: Sequence[Span]
) -> SentenceVectors:
    """One int8 row a sentence; `starts[i]` is the code point at which content token i begins.

    A token belongs to the sentence in which it begins. A sentence without tokens is a zero row.
    """
    rows = np.zeros((len(sentences), tokens.shape[1]), np.float32)
    bounds = np.array([(span.start, span.end) for span in sentences], np.int64).reshape(-1, 2)
    firsts, ends = np.searchsorted(starts, bounds).T
    for row, first, end in zip(rows, firsts, ends, strict=True):
        if first < end:
            mean = tokens[first:end].mean(axis=0)
            row[:] = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
    return int8_rows(rows)


def int8_rows(rows: npt.NDArray[np.float32]) -> SentenceVectors:
    """Rows of unit length, or of zeros, in a quarter of the room."""
    return SentenceVectors(rows.shape[1], np.rint(rows * INT8_SCALE).astype(np.int8).tobytes())


def vector_of(row: npt.NDArray[np.float32]) -> Vector:
    """A row as it crosses ports."""
    return Vector(row.astype("<f4").tobytes())
