"""How a keyword search is worded: words that help, phrases and fields that a hit must hold.

    pump "cooling water" title:auriga headings:"safety drill"

finds chunks that hold the phrase "cooling water", under a title that holds "auriga" and a heading
that holds "safety drill"; "pump" ranks them. Anything else is words, an odd quotation mark too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

MAX_CLAUSES = 32
"""Most phrases and fields of one search; what follows is words."""
_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'))
_CLAUSE = re.compile(
    r"(?<![\w\"])(?:(?P<field>text|title|headings):)?\"(?P<phrase>[^\"]+)\"(?!\w)"
    r"|(?<!\S)(?P<word_field>text|title|headings):(?P<word>[^\s\"]+)"
)


class Field(Enum):
    """What of a chunk a phrase is looked for in."""

    TEXT = "text"
    TITLE = "title"
    HEADINGS = "headings"


@dataclass(frozen=True, slots=True)
class Clause:
    """Words that a hit holds one after the other."""

    text: str
    field: Field | None = None
    """None = in any one of the fields."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A question as the keyword ranking takes it."""

    words: str
    """Every word of it helps, none is needed."""
    clauses: tuple[Clause, ...] = ()
    """A hit holds each of them."""

    @property
    def text(self) -> str:
        """All that is asked for, without the marks."""
        return " ".join([self.words, *(clause.text for clause in self.clauses)])

    @classmethod
    def parse(cls, query: str) -> Wording:
        """The wording of a query with quotation marks and fields; every text has one."""
        rest: list[str] = []
        clauses: list[Clause] = []
        end = 0
        query = query.translate(_QUOTES)
        for match in _CLAUSE.finditer(query):
            if len(clauses) == MAX_CLAUSES:
                break
            field = match["field"] or match["word_field"]
            clauses.append(
                Clause(match["phrase"] or match["word"], Field(field) if field else None)
            )
            rest.append(query[end : match.start()])
            end = match.end()
        rest.append(query[end:])
        return cls(" ".join(" ".join(rest).split()), tuple(clauses))
