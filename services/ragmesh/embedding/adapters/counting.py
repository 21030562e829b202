"""How long texts are for a model that is elsewhere, and what of them fits its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from ragmesh.core.errors import ModelCorruptError, ModelMissingError
from ragmesh.core.reading import CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class FittingText:
    """A text as it is sent, and how many tokens at its end are not."""

    text: str
    cut_tokens: int


class Counter(Protocol):
    """Counts the tokens of a text, special ones too, and cuts what is too long."""

    @property
    def special_tokens(self) -> int:
        """How many tokens the model adds to every text."""

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer as tokenizer.json; empty when there is none."""

    def count(self, text: str) -> int:
        """How long the text is, special tokens counted."""

    def fit(self, text: str, most_tokens: int) -> FittingText:
        """The beginning of the text that fits, and how much was left off."""


class TokenizerCounter:
    """Counts with the model's own tokenizer."""

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(path.read_bytes())
        except OSError as error:
            raise ModelMissingError(
                f"the tokenizer {path} cannot be read: {error.strerror}",
                metadata={"path": str(path)},
            ) from error
        except Exception as error:  # the library raises nothing more exact
            raise ModelCorruptError(
                f"{path} is not a tokenizer.json", metadata={"path": str(path)}
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def special_tokens(self) -> int:
        """What the tokenizer's template adds."""
        return self._tokenizer.num_special_tokens_to_add(is_pair=False)

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer, neither cutting nor padding."""
        return self._tokenizer.to_str().encode()

    def count(self, text: str) -> int:
        """Exactly as the model counts."""
        return len(self._tokenizer.encode(text).ids)

    def fit(self, text: str, most_tokens: int) -> FittingText:
        """The text up to the last token that fits."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        over = len(encoding.ids) + self.special_tokens - most_tokens
        if over <= 0:
            return FittingText(text, 0)
        last = len(encoding.ids) - over
        return FittingText(text[: encoding.offsets[last][0]], over)


class CharacterCounter:
    """Takes a token for 2.5 characters, which few languages and tokenizers exceed."""

    special_tokens = 2
    tokenizer = b""

    def count(self, text: str) -> int:
        """Rounded up."""
        return ceil(len(text) / CHARACTERS_PER_TOKEN) + self.special_tokens

    def fit(self, text: str, most_tokens: int) -> FittingText:
        """As many characters as are sure to fit."""
        over = self.count(text) - most_tokens
        if over <= 0:
            return FittingText(text, 0)
        kept = int((most_tokens - self.special_tokens) * CHARACTERS_PER_TOKEN)
        return FittingText(text[:kept], over)


def counter_of(tokenizer: Path | None) -> Counter:
    """The counter with the tokenizer, or the one that goes without."""
    return CharacterCounter() if tokenizer is None else TokenizerCounter(tokenizer)


def counts(counter: Counter, texts: Sequence[str]) -> tuple[int, ...]:
    """The length of every text."""
    return tuple(map(counter.count, texts))
