"""A scan that reads a quarter of the bytes and finds the same rows.

Products of int8 numbers estimate every cosine, with a bound on how wrong an estimate can be. Only
rows whose estimate lies within twice that bound of the last one wanted can be among the best; they
alone are compared in float32. Nothing is found that a whole scan would not find, and nothing less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]

FEWEST_ROWS = 4_096
"""Of fewer rows a whole scan takes less than half a millisecond."""
PAYS_AFTER = 32
"""Scans of a segment before it is made: it costs as much as some eighty scans save."""
_LARGEST = 127
"""Of a row's numbers."""
_LARGEST_ASKED = 63
"""Of a question's: processors without VNNI overflow where two products of more are added."""
_HALVES = 2 * _LARGEST_ASKED
"""Steps of the low half in one of the high half."""
_MOST_ROUNDING = 1e-5
"""What float32 adds to an estimate."""
_BLOCK_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cosines of all rows with one question, none of them further off than `bound`."""

    cosines: Floats
    bound: float


class CoarseRows:
    """Rows as int8, each with the scale of its own."""

    def __init__(self, vectors: Matrix) -> None:
        whole = np.empty((vectors.shape[1], len(vectors)), np.int8)
        self._scales = np.empty(len(vectors), np.float32)
        self._lost = 0.0
        for at in range(0, len(vectors), _BLOCK_ROWS):
            block = vectors[at : at + _BLOCK_ROWS]
            scales = np.abs(block).max(axis=1) / _LARGEST
            scales[scales == 0] = 1
            rounded = np.rint(block / scales[:, np.newaxis])
            lost = np.linalg.norm(block - rounded * scales[:, np.newaxis], axis=1)
            self._lost = max(self._lost, float(lost.max()))
            self._scales[at : at + len(block)] = scales
            whole[:, at : at + len(block)] = rounded.T
        self.nbytes = whole.nbytes
        self._session = _product_with(whole)

    def estimates(self, questions: Sequence[Floats]) -> Iterator[Estimate]:
        """An estimate for each question of unit length; all share one pass over the rows."""
        asked = [_Asked.of(question) for question in questions]
        halves = np.stack([half for one in asked for half in (one.high, one.low)])
        (products,) = self._session.run(None, {_QUESTIONS: halves})
        for one, (high, low) in zip(asked, products.reshape(len(asked), 2, -1), strict=True):
            high *= _HALVES
            high += low
            cosines = high.astype(np.float32)
            cosines *= self._scales
            cosines *= np.float32(one.scale)
            bound = self._lost + one.lost * (1 + self._lost) + _MOST_ROUNDING
            yield Estimate(cosines, bound)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question in two halves of seven bits, so that next to nothing of it is lost."""

    high: npt.NDArray[np.uint8]
    low: npt.NDArray[np.uint8]
    scale: float
    """What a step of the low half stands for; one of the high half stands for `_HALVES` of them."""
    lost: float
    """Length of what is in neither half."""

    @classmethod
    def of(cls, question: Floats) -> _Asked:
        exact = question.astype(np.float64)
        scale = float(np.abs(exact).max()) / (_HALVES * _LARGEST_ASKED) or 1.0
        high = np.rint(exact / (_HALVES * scale))
        low = np.rint(exact / scale - _HALVES * high)
        lost = exact - (_HALVES * high + low) * scale
        return cls(_shifted(high), _shifted(low), scale, float(np.linalg.norm(lost)))


class Coarse:
    """The coarse rows of one segment: there once they pay."""

    def __init__(self) -> None:
        self.rows: CoarseRows | None = None
        self._scans = 0
        self._is_begun = False

    @property
    def nbytes(self) -> int:
        """What it takes of memory."""
        return 0 if self.rows is None else self.rows.nbytes

    def note_scan(self) -> None:
        """Count a whole scan; two threads may count one, which matters little."""
        self._scans += 1

    def begin(self, rows: int) -> bool:
        """True for the first that asks once it pays: `make` is due, behind the searches."""
        due = not self._is_begun and rows >= FEWEST_ROWS and self._scans >= PAYS_AFTER
        self._is_begun = self._is_begun or due
        return due

    def put_off(self) -> None:
        """There is no room for making them now: as many scans later it is due again."""
        self._scans, self._is_begun = 0, False

    def make(self, vectors: Matrix) -> None:
        """Make them of the segment's vectors."""
        self.rows = CoarseRows(vectors)


_QUESTIONS, _ROWS, _ZERO, _PRODUCTS = "questions", "rows", "zero", "products"


def _shifted(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    return (numbers + _LARGEST_ASKED + 1).astype(np.uint8)


def _product_with(rows: npt.NDArray[np.int8]) -> Any:
    """An onnxruntime.InferenceSession, which carries no types: integer products, on one thread."""
    # Imported where it pays: a small index needs neither.
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    dimension, count = rows.shape
    zero = np.array(_LARGEST_ASKED + 1, np.uint8)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMulInteger", [_QUESTIONS, _ROWS, _ZERO], [_PRODUCTS])],
            "coarse",
            [helper.make_tensor_value_info(_QUESTIONS, TensorProto.UINT8, ["asked", dimension])],
            [helper.make_tensor_value_info(_PRODUCTS, TensorProto.INT32, ["asked", count])],
            [numpy_helper.from_array(rows, _ROWS), numpy_helper.from_array(zero, _ZERO)],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
