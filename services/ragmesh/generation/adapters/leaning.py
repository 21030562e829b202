"""How a question shows that it leans on what was said before, given a language's wording."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_ELLIPSIS_WORDS = 3
"""A question of so few words that names one thing ("How many passengers?") lacks its verb."""
_SHORT = 3
"""Up to so many telling words, "And ..." continues; a longer question stands for itself."""
_ANTECEDENTS = 2
"""With so many telling words before a pronoun, what it points to stands in the question itself."""


def any_of(*patterns: str) -> re.Pattern[str]:
    """A pattern that finds what one of them finds, in capitals or not."""
    return re.compile("|".join(patterns), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wording:
    """What tells a follow-up in one language."""

    empty: frozenset[str]
    """Words that tell nothing about a topic."""
    pronouns: frozenset[str]
    """Words that point back unless what they point to stands before them."""
    pointing: re.Pattern[str]
    """What points back wherever it stands."""
    not_pointing: re.Pattern[str]
    """What looks like pointing back and is not; taken out first."""
    opening: re.Pattern[str]
    """How a short continuation begins."""
    contrasting: re.Pattern[str]
    """How a question begins that puts something else in the place of what was asked about."""
    relational: frozenset[str]
    """Words that are of something ("deadline", "causes"): alone they leave open of what."""
    elliptic: re.Pattern[str]
    """How a question begins that may lack its verb."""
    defining: re.Pattern[str]
    """Questions that are short and stand for themselves."""
    names_by_capitals: bool

    def telling(self, text: str) -> list[str]:
        """The words that say what a text is about, in their order."""
        words = [match[0] for match in _WORD.finditer(text)]
        return list(dict.fromkeys(word for word in words if self._tells(word)))

    def leans(self, text: str) -> bool:
        """Whether the text leaves out what it is about."""
        plain = self.not_pointing.sub(" ", text)
        if self.contrasting.match(text) or self.pointing.search(plain) or self._points(plain):
            return True
        told = sum(word.casefold() not in self.relational for word in self.telling(text))
        if self.opening.match(text):
            return told <= _SHORT
        if told == 1:
            short = len(_WORD.findall(text)) <= _ELLIPSIS_WORDS
            return short and bool(self.elliptic.match(text)) and not self.defining.match(text)
        return told == 0

    def contrasts(self, text: str) -> bool:
        """Whether the text names something else of the same kind ("What about the Auriga?")."""
        named = any(self.is_name(word) for word in self.telling(text))
        return named and self.contrasting.match(text) is not None

    def is_name(self, word: str) -> bool:
        """Whether a word looks like the name of one thing, or is a number such as a year."""
        return word[0].isdigit() or (self.names_by_capitals and word[0].isupper())

    def _tells(self, word: str) -> bool:
        folded = word.casefold().replace("\u2019", "'").removesuffix("'s")
        return folded not in self.empty and (len(folded) > 1 or folded.isdigit())

    def _points(self, text: str) -> bool:
        """Whether a pronoun comes before anything that it could point to."""
        told = 0
        for match in _WORD.finditer(text):
            if match[0].casefold() in self.pronouns and told < _ANTECEDENTS:
                return True
            told += self._tells(match[0])
        return False
