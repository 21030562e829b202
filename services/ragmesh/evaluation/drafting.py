"""Drafts of golden questions from a collection's own documents; a person finishes every one.

What to ask is chosen here, passages spread over documents as evenly as they go, the same ones for
the same seed. The question itself is for a person, or for a model and then for a person: a file
with a draft in it is refused by `read_golden`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LEAST_CHARACTERS = 80
"""A shorter passage holds a heading or a number, and no answer."""
MOST_CHARACTERS = 800
GRADE = 3
"""Of the document that a question was drafted from; others may deserve one, too."""
UNANSWERED_EACH = 6
"""One draft in so many is to be a question that no document answers."""
TO_WRITE = "Write what people would ask, in their words, for which this passage is the answer."
TO_JUDGE = "Would people ask this? Is the answer right? Do other documents answer it as well?"
TO_INVENT = "Write a question that sounds like these documents, and that none of them answers."
SYSTEM = (
    "You write questions that test a search system. You are given one passage of a document. Write"
    " one question that somebody who has never seen the passage might ask, in the language of the"
    " passage, that this passage answers and that makes sense by itself. Use other words than the"
    " passage where you can. Never speak of a passage, text or document. Reply with JSON only:"
    ' {"question": "...", "answer": "..."}, where the answer is copied letter for letter from the'
    " passage and as short as can be."
)
_END_OF_SENTENCE = re.compile(r"[.!?]\s")
_SPEAKS_OF_THE_PASSAGE = re.compile(
    r"\b(passage|the (given |above |provided )?(text|document|section)|laut (dem )?text)\b", re.I
)
_LONGEST_QUESTION = 500


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document's text, letter for letter."""

    document_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A question to be finished; without a passage, one that no document is to answer."""

    passage: Passage | None = None
    question: str = ""
    answer: str = ""

    def line(self) -> str:
        """The draft as a line of a file, with what a person has to do and then to remove."""
        if self.passage is None:
            return _line({"draft": TO_INVENT, "question": "", "relevant": {}})
        fields: dict[str, object] = {
            "draft": TO_JUDGE if self.question else TO_WRITE,
            "passage": self.passage.text,
            "question": self.question,
            "relevant": {self.passage.document_id: GRADE},
        }
        if self.answer:
            fields["answer"] = self.answer
        return _line(fields)


def chosen_documents(document_ids: Sequence[str], count: int, seed: int) -> list[str]:
    """The documents to take passages from: any when there are enough, else all of them."""
    drawn = list(document_ids)
    _draw(seed).shuffle(drawn)
    return drawn[:count]


def chosen_passages(texts: Mapping[str, str], count: int, seed: int) -> list[Passage]:
    """So many passages at most, in rounds of one a document."""
    draw = _draw(seed)
    waiting = [list(passages_of(document_id, text)) for document_id, text in texts.items()]
    for passages in waiting:
        draw.shuffle(passages)
    found: list[Passage] = []
    while any(waiting) and len(found) < count:
        found += [passages.pop() for passages in waiting if passages]
    return found[:count]


def passages_of(document_id: str, text: str) -> Iterator[Passage]:
    """The text in pieces that end with a paragraph, else a line, else a sentence."""
    start = 0
    while start < len(text):
        end = _end(text, start)
        piece = text[start:end].strip()
        if len(piece) >= LEAST_CHARACTERS:
            yield Passage(document_id, piece)
        start = end


def with_unanswered(drafts: Sequence[Draft]) -> Iterator[Draft]:
    """The drafts, and between them those that are to have no answer."""
    for number, draft in enumerate(drafts, start=1):
        yield draft
        if number % (UNANSWERED_EACH - 1) == 0:
            yield Draft()


def judged(passage: Passage, reply: str) -> Draft:
    """The draft that a model's reply amounts to; without a question when it is of no use.

    An answer that is not in the passage was made up, and a question that speaks of the passage is
    none that people ask.
    """
    try:
        fields = json.loads(reply[reply.index("{") : reply.rindex("}") + 1])
        question, answer = fields["question"], fields["answer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Draft(passage)
    if not (isinstance(question, str) and isinstance(answer, str) and answer.strip()):
        return Draft(passage)
    question, answer = _one_line(question), _one_line(answer)
    made_up = answer.casefold() not in _one_line(passage.text).casefold()
    unusable = not question or len(question) > _LONGEST_QUESTION
    if made_up or unusable or _SPEAKS_OF_THE_PASSAGE.search(question):
        return Draft(passage)
    return Draft(passage, question, answer)


def _end(text: str, start: int) -> int:
    limit = start + MOST_CHARACTERS
    if limit >= len(text):
        return len(text)
    least = start + LEAST_CHARACTERS
    for mark in ("\n\n", "\n"):
        found = text.rfind(mark, least, limit)
        if found != -1:
            return found + len(mark)
    ends = [match.end() for match in _END_OF_SENTENCE.finditer(text, least, limit)]
    return ends[-1] if ends else limit


def _draw(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same choice again, not a secret


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, ensure_ascii=False)
