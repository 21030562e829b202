"""Questions that a door has parsed already."""

from __future__ import annotations

import unicodedata

from ragmesh.core.errors import EmptyQuestionError, InvalidError, Violation
from ragmesh.core.questions import Question


def question_from_text(text: str, *, field: str = "question") -> Question:
    """The question as a door parsed it; a text that none can have let through is refused.

    It is not parsed again: NFC may make a text longer, so that a question of the longest length
    would come through a door and be refused behind it.
    """
    if not text.strip():
        message = "must not be blank"
        raise EmptyQuestionError(f"{field} {message}", violations=[Violation(field, message)])
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidError.of(field, "must be in NFC")
    return Question(text)
