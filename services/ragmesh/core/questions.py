"""What people ask, validated once for every door."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ragmesh.core.errors import (
    ControlCharactersError,
    EmptyQuestionError,
    InvalidLimitError,
    QuestionTooLongError,
    Violation,
)
from ragmesh.core.invisible import without_invisible

MAX_QUESTION_CHARACTERS = 8_000
"""Longer than any question a person types; a document belongs into a collection."""
MAX_LIMIT = 200
"""Most hits of one search; a search looks at 1,000 candidates at most."""
_SPACES = re.compile(r"\s+")
_ALLOWED_CONTROLS = frozenset("\t\n\r")


@dataclass(frozen=True, slots=True)
class Question:
    """A question or query as received: NFC, not blank, of bounded length, without controls."""

    text: str

    @classmethod
    def parse(cls, raw: str, *, field: str = "question") -> Question:
        """The question, or one error that says which rule it breaks."""
        if len(raw) > MAX_QUESTION_CHARACTERS:
            message = f"must have at most {MAX_QUESTION_CHARACTERS} characters"
            raise QuestionTooLongError(
                f"{field} {message}",
                violations=[Violation(field, message)],
                metadata={"limit": str(MAX_QUESTION_CHARACTERS)},
            )
        refuse_controls(raw, field=field)
        text = unicodedata.normalize("NFC", raw).strip()
        if not without_invisible(text).strip():
            raise EmptyQuestionError(
                f"{field} must not be blank", violations=[Violation(field, "must not be blank")]
            )
        return cls(text)

    @property
    def canonical(self) -> str:
        """The form under which equal questions are equal; case and inner punctuation stay."""
        return _SPACES.sub(" ", self.text).rstrip("?.! ")


def refuse_controls(text: str, *, field: str) -> None:
    """Raise ControlCharactersError for controls other than white space, and for surrogates."""
    for position, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS:
            message = f"must not hold control characters (U+{ord(character):04X} at {position})"
            raise ControlCharactersError(
                f"{field} {message}", violations=[Violation(field, message)]
            )


def parse_limit(value: int, *, field: str = "limit", most: int = MAX_LIMIT) -> int:
    """The limit itself when it lies in [1, most], else InvalidLimitError."""
    if not 1 <= value <= most:
        message = f"must be between 1 and {most}"
        raise InvalidLimitError(f"{field} {message}", violations=[Violation(field, message)])
    return value
