"""What an evaluation found is the same after it was a file, and a changed file is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragmesh.core.errors import InvalidEvaluationError
from ragmesh.evaluation.files import evaluation_text, read_evaluation
from ragmesh.evaluation.results import Evaluation
from tests.unit.evaluation.builders import REFUSED, SEEN, evaluation_of, result_of

RUN = evaluation_of(
    [
        result_of("a", replace(SEEN, answer="Größe „19“\n\u2028", degraded=("STALE_HEADS",))),
        result_of("b", REFUSED, slice="german"),
        result_of("c", None),
    ]
)


def test_an_evaluation_is_the_same_after_it_was_a_file() -> None:
    assert read_evaluation(evaluation_text(RUN).encode()) == RUN


def test_a_run_of_no_question_is_a_file_too() -> None:
    empty: Evaluation = evaluation_of([])
    assert read_evaluation(evaluation_text(empty).encode()) == empty


def test_a_question_stands_on_a_line_of_its_own() -> None:
    lines = evaluation_text(RUN).splitlines()
    assert [line[:11] for line in lines[1:-1] if line.startswith('{"id"')] == [
        '{"id": "a",',
        '{"id": "b",',
        '{"id": "c",',
    ]


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('"format": 1', '"format": 2'),
        ('"k": 10', '"k": "ten"'),
        ('"recall": 1.0', '"recall": 1.5'),
        ('"recall": 1.0', '"recal": 1.0'),
        ('["a", 1.0]', '["a", 1.0], ["b", 1.0]'),
        ('"status": "ANSWERED"', '"status": "FINE"'),
        ('"id": "b"', '"id": "a"'),
        ('"results": [', '"result": ['),
        ('"models": ["extractive"]', '"models": [7]'),
        ("{", "[{"),
    ],
)
def test_a_file_that_was_changed_or_is_another_is_refused(found: str, put: str) -> None:
    text = evaluation_text(RUN)
    assert found in text
    with pytest.raises(InvalidEvaluationError):
        read_evaluation(text.replace(found, put, 1).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_evaluation_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidEvaluationError):
        read_evaluation(content)
