"""Golden questions: what is asked, and which documents hold the answer. One strict reader."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from ragmesh.core.answers import Turn
from ragmesh.core.errors import InvalidError, InvalidGoldenQuestionsError, Violation
from ragmesh.core.names import document_id
from ragmesh.core.questions import Question, refuse_controls
from ragmesh.core.turns import parse_turns

MAX_QUESTIONS = 100_000
MAX_GRADE = 10
MAX_RELEVANT = 1_000
MAX_ANSWER_CHARACTERS = 10_000
_TOLD_VIOLATIONS = 5
"""Of the lines at fault that a message names; the violations hold all of them."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_DRAFT = "draft"
"""What drafting writes into a line for a person to do."""
_FIELDS = frozenset({"id", "question", "relevant", "answer", "slice", "history"})


@dataclass(frozen=True, slots=True)
class GoldenQuestion:
    """A question with the documents that answer it, judged by a person."""

    id: str
    question: Question
    relevant: Mapping[str, int]
    """Grade by document id: 0 judged and not relevant, 1 and more the better the higher. Without
    a grade above 0 no document answers it: the right answer is that there is none."""
    answers: tuple[str, ...] = ()
    """Texts of which one stands in a right answer."""
    slice: str = ""
    """A group that is reported by itself."""
    history: tuple[Turn, ...] = ()
    """What was said before it was asked."""

    @property
    def answerable(self) -> bool:
        """Whether some document answers it."""
        return any(grade > 0 for grade in self.relevant.values())

    @property
    def judges_searches(self) -> bool:
        """Whether a search by itself is right or wrong by it: that knows nothing said before."""
        return self.answerable and not self.history


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Golden questions in the order of their file."""

    questions: tuple[GoldenQuestion, ...]
    digest: str
    """SHA-256 of the file, 64 hex digits."""


def read_golden(content: bytes) -> GoldenSet:
    """The golden questions of a file of JSON lines, or one error that names every line at fault.

    A line is an object with `question` and `relevant` (grade by document id, empty when none
    answers it), and optionally `id`, `answer` (a text or a list of texts), `slice` and `history`
    (the turns before it, each an object of `role` and `text`). Nothing
    else is taken: a misspelt field would silently measure something else.
    """
    reader = _Reader()
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            reader.take(number, line)
    return GoldenSet(reader.taken(), sha256(content).hexdigest())


@dataclass(slots=True)
class _Reader:
    """Takes lines and remembers what is wrong with them."""

    questions: list[GoldenQuestion] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    """Where each id stands."""

    def take(self, number: int, line: bytes) -> None:
        try:
            question = _question(_object(line))
        except InvalidError as error:
            self.violations += [
                Violation(f"line {number}: {one.field}", one.message) for one in error.violations
            ]
            return
        if question.id in self.lines:
            message = f"is that of line {self.lines[question.id]}"
            self.violations.append(Violation(f"line {number}: id", message))
        self.lines[question.id] = number
        self.questions.append(question)

    def taken(self) -> tuple[GoldenQuestion, ...]:
        if not self.questions and not self.violations:
            self.violations.append(Violation("file", "holds no question"))
        if len(self.questions) > MAX_QUESTIONS:
            self.violations.append(Violation("file", f"holds more than {MAX_QUESTIONS} questions"))
        if self.violations:
            raise InvalidGoldenQuestionsError(_told(self.violations), violations=self.violations)
        return tuple(self.questions)


def _told(violations: list[Violation]) -> str:
    told = [f"{one.field} {one.message}" for one in violations[:_TOLD_VIOLATIONS]]
    more = len(violations) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            line.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise InvalidError.of("text", "must be UTF-8") from None
    except (ValueError, RecursionError):
        raise InvalidError.of("text", "must be JSON") from None
    if not isinstance(value, dict):
        raise InvalidError.of("text", "must be a JSON object")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidError.of("text", "must not name a field twice")
    return found


def _refuse_constant(name: str) -> float:
    raise InvalidError.of("text", f"must not hold {name}")


def _question(fields: dict[str, Any]) -> GoldenQuestion:
    if _DRAFT in fields:
        raise InvalidError.of(_DRAFT, "is still to be done; remove it when a person has judged it")
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise InvalidError.of(unknown[0][:100], "is no field of a golden question")
    question = Question.parse(_text(fields, "question"))
    history = _history(fields.get("history", []))
    return GoldenQuestion(
        id=_name(fields, "id") or _own_name(question, history),
        question=question,
        relevant=_relevant(fields.get("relevant")),
        answers=_answers(fields.get("answer", [])),
        slice=_name(fields, "slice"),
        history=history,
    )


def _own_name(question: Question, history: tuple[Turn, ...]) -> str:
    """The same words after another history are another question."""
    words = question.text
    if history:
        words = json.dumps([[turn.role, turn.text] for turn in history] + [words])
    return f"q-{sha256(words.encode()).hexdigest()[:12]}"


def _history(value: Any) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not all(_is_turn(turn) for turn in value):
        raise InvalidError.of("history", "must be a list of objects with a role and a text")
    return parse_turns([(turn["role"], turn["text"]) for turn in value])


def _is_turn(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"role", "text"}
        and all(isinstance(text, str) for text in value.values())
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidError.of(name, "must be a text")
    return value


def _name(fields: dict[str, Any], name: str) -> str:
    if name not in fields:
        return ""
    value = _text(fields, name)
    if not _NAME.fullmatch(value):
        raise InvalidError.of(name, "must be 1 to 100 of the characters A-Z a-z 0-9 . _ : -")
    return value


def _relevant(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict):
        raise InvalidError.of("relevant", "must be an object of grades by document id, or {}")
    if len(value) > MAX_RELEVANT:
        raise InvalidError.of("relevant", f"must have at most {MAX_RELEVANT} documents")
    for name, grade in value.items():
        document_id(name, field="relevant")
        if type(grade) is not int or not 0 <= grade <= MAX_GRADE:
            raise InvalidError.of("relevant", f"grades must be whole numbers from 0 to {MAX_GRADE}")
    return MappingProxyType(dict(value))


def _answers(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidError.of("answer", "must be a text or a list of texts")
    for text in texts:
        if not text.strip() or len(text) > MAX_ANSWER_CHARACTERS:
            message = f"must have 1 to {MAX_ANSWER_CHARACTERS} characters and not be blank"
            raise InvalidError.of("answer", message)
        refuse_controls(text, field="answer")
    return tuple(texts)
