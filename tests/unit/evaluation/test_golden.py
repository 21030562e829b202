"""Golden questions are read strictly, and every line at fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragmesh.core.answers import Turn
from ragmesh.core.errors import InvalidGoldenQuestionsError
from ragmesh.evaluation.golden import MAX_GRADE, MAX_RELEVANT, read_golden
from tests.unit.evaluation.builders import line

ROOT = Path(__file__).resolve().parents[3]


def faults_of(content: bytes) -> list[tuple[str, str]]:
    with pytest.raises(InvalidGoldenQuestionsError) as caught:
        read_golden(content)
    return [(one.field, one.message) for one in caught.value.violations]


def test_a_question_has_its_grades_its_answers_and_its_slice() -> None:
    (found,) = read_golden(
        line(id="dogs", relevant={"a": 3, "b": 0}, answer=["bark", "growl"], slice="pets")
    ).questions
    assert (found.id, found.question.text, found.slice) == ("dogs", "Do dogs bark?", "pets")
    assert dict(found.relevant) == {"a": 3, "b": 0}
    assert found.answers == ("bark", "growl")
    assert found.answerable


def test_a_question_that_no_document_answers_says_so_by_naming_none() -> None:
    (nobody,) = read_golden(line(relevant={})).questions
    (judged,) = read_golden(line(relevant={"a": 0})).questions
    assert not nobody.answerable
    assert not judged.answerable


def test_a_question_without_an_id_goes_by_its_words() -> None:
    content = line() + b"\n\n" + line(question="Do cats purr?") + b"\n"
    first, second = read_golden(content).questions
    assert first.id != second.id
    assert read_golden(line(answer="Yes.")).questions[0].id == first.id


def test_the_same_words_after_another_history_are_another_question() -> None:
    said = [{"role": "user", "text": "Are there dogs?"}, {"role": "assistant", "text": "Yes."}]
    alone, after = read_golden(line() + b"\n" + line(history=said)).questions
    assert alone.id != after.id
    assert after.history == (Turn("user", "Are there dogs?"), Turn("assistant", "Yes."))


def test_other_questions_have_another_digest() -> None:
    assert read_golden(line()).digest != read_golden(line(answer="Yes.")).digest


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b"{", "text", "JSON"),
        (b"[1]", "text", "JSON object"),
        (b'{"question": "\xff"}', "text", "UTF-8"),
        (b'{"question": "a", "question": "b", "relevant": {}}', "text", "twice"),
        (b'{"question": "a", "relevant": {"a": NaN}}', "text", "NaN"),
        (b"[" * 100_000, "text", "JSON"),
        (line(qestion="Why?"), "qestion", "no field"),
        (line(question=7), "question", "text"),
        (line(question="  "), "question", "blank"),
        (line(question="a\u0000"), "question", "control"),
        (b'{"question": "Why?"}', "relevant", "object"),
        (line(relevant=["a"]), "relevant", "object"),
        (line(relevant={"../a": 1}), "relevant", "letter or digit"),
        (line(relevant={"a": 1.5}), "relevant", "whole numbers"),
        (line(relevant={"a": True}), "relevant", "whole numbers"),
        (line(relevant={"a": -1}), "relevant", "whole numbers"),
        (line(relevant={"a": MAX_GRADE + 1}), "relevant", "whole numbers"),
        (line(relevant={f"d{n}": 1 for n in range(MAX_RELEVANT + 1)}), "relevant", "at most"),
        (line(answer=[1]), "answer", "text"),
        (line(answer=""), "answer", "blank"),
        (line(answer="a\u0007"), "answer", "control"),
        (line(slice="two words"), "slice", "characters"),
        (line(id=""), "id", "characters"),
        (line(id=3), "id", "text"),
        (line(history="Dogs?"), "history", "list"),
        (line(history=[{"role": "user"}]), "history", "role and a text"),
        (line(history=[{"role": "user", "text": 1}]), "history", "role and a text"),
        (line(history=[{"role": "system", "text": "a"}]), "history[0].role", "one of"),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused_with_its_number(
    content: bytes, field: str, message: str
) -> None:
    ((where, what),) = faults_of(line(id="sound") + b"\n" + content)
    assert where == f"line 2: {field}"
    assert message in what


def test_every_line_at_fault_is_named() -> None:
    fields = [field for field, _ in faults_of(b"{\n" + line(id="a") + b"\n" + line(slice=""))]
    assert fields == ["line 1: text", "line 3: slice"]
    with pytest.raises(InvalidGoldenQuestionsError, match=r"line 1.*line 2.*and 5 more"):
        read_golden(b"\n".join([b"{"] * 10))


def test_two_questions_of_one_id_are_refused_with_both_lines() -> None:
    assert faults_of(line(id="a") + b"\n" + line(id="a")) == [("line 2: id", "is that of line 1")]
    assert faults_of(line() + b"\n" + line()) == [("line 2: id", "is that of line 1")]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_questions_measures_nothing(content: bytes) -> None:
    assert faults_of(content) == [("file", "holds no question")]


def test_the_golden_questions_of_the_handbook_name_documents_of_the_handbook() -> None:
    questions = read_golden((ROOT / "examples" / "golden.jsonl").read_bytes()).questions
    documents = {path.name for path in (ROOT / "examples" / "handbook").iterdir()}
    assert {name for one in questions for name in one.relevant} == documents
    assert sum(not one.answerable for one in questions) >= 5
    assert {one.slice for one in questions} == {"english", "german"}
