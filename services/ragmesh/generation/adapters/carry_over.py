"""A rewriter without a model: what a follow-up leaves out is carried over from before it.

A question leans on what was said when it points back ("it", "there", "the same"), opens like a
continuation ("And ...", "What about ...") or says next to nothing ("How long?"). Such a question
is searched with the telling words of the question that it continues. Every other question is left
as it is: a new topic inherits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.answers import RewriteQuery, Rewritten
from ragmesh.core.questions import MAX_QUESTION_CHARACTERS, Question
from ragmesh.generation.adapters.leaning import Wording
from ragmesh.generation.adapters.leaning_english import ENGLISH
from ragmesh.generation.adapters.leaning_german import GERMAN

NAME = "carry-over"
RULES_VERSION = 1
"""Counts up whenever the same question after the same history is searched with other words."""
MAX_CARRIED = 8
"""More words would drown the question's own; those nearest to the topic's beginning are kept."""
_LOOK_BACK_TURNS = 20
"""Questions before the one asked that are read; a topic older than that is another."""
_READ_CHARACTERS = 2_000
"""A longer message is a text that somebody pasted; what it is about stands at its beginning."""
_STEM_CHARACTERS = 4
"""Shorter words begin too many others."""


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Carries terms over; it needs no model, so it is always there."""

    @property
    def is_paid(self) -> bool:
        """Rules cost nothing."""
        return False

    async def rewrite(self, query: RewriteQuery) -> Rewritten:
        """The question with what it leaves out; some 0.1 ms of work."""
        wording = wording_of(query.language)
        asked = [_read(turn.text) for turn in query.history if turn.role == "user"]
        missing = _missing(_read(query.question.text), asked[-_LOOK_BACK_TURNS:], wording)
        if not missing:
            return Rewritten(query.question)
        text = f"{query.question.text} ({' '.join(missing)})"
        if len(text) > MAX_QUESTION_CHARACTERS:
            return Rewritten(query.question)
        return Rewritten(Question.parse(text))

    def describe(self) -> str:
        """Its rules are its prompt."""
        return f"{NAME}/{RULES_VERSION}"


def _read(text: str) -> str:
    """The beginning of a text with single spaces, which is all that the patterns know."""
    return " ".join(text[:_READ_CHARACTERS].split())


def wording_of(language: str) -> Wording:
    """The wording of a language; English for one that has none here."""
    return GERMAN if language.casefold().split("-")[0] == "de" else ENGLISH


def _missing(question: str, asked: list[str], wording: Wording) -> list[str]:
    """The telling words that the question takes over from those asked before it."""
    if not wording.leans(question):
        return []
    topic = _topic(asked, wording)
    if wording.contrasts(question):
        topic = [word for word in topic if not wording.is_name(word)]
    own = wording.telling(question)
    return [word for word in topic if not _says(own, word)][:MAX_CARRIED]


def _topic(asked: list[str], wording: Wording) -> list[str]:
    """What was talked about: the last question that stands for itself, then the last of all."""
    begun: list[str] = []
    last: list[str] = []
    for earlier in reversed(asked):
        begun = wording.telling(earlier)
        if not wording.leans(earlier):
            break
        last = last or begun
    return begun + [word for word in last if not _says(begun, word)]


def _says(words: list[str], word: str) -> bool:
    """Whether one of the words is a form of the other."""
    return any(_is_form(one, word) for one in words)


def _is_form(one: str, other: str) -> bool:
    a, b = sorted((one.casefold(), other.casefold()), key=len)
    return a == b or (len(a) >= _STEM_CHARACTERS and b.startswith(a) and len(b) - len(a) <= 2)
