"""Counts the tokens an encoder would see."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from math import ceil
from typing import Protocol

from tokenizers import Tokenizer

from ragmesh.core.reading import CHARACTERS_PER_TOKEN

_KEPT = 4


class Counter(Protocol):
    """Counts the content tokens of a text."""

    def count(self, text: str) -> int:
        """How many tokens the text is."""


class TokenCounter:
    """Counts content tokens: no special ones, nothing padded, nothing cut."""

    def __init__(self, tokenizer: bytes) -> None:
        self._tokenizer = Tokenizer.from_buffer(tokenizer)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """How many tokens the text is."""
        # The only call that skips offsets takes a batch; one of one starts no threads.
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return len(encoding.ids)


class CharacterCounter:
    """Counts for an encoder that has no tokenizer: 2.5 characters are a token."""

    def count(self, text: str) -> int:
        """How many tokens the text is taken for."""
        return ceil(len(text) / CHARACTERS_PER_TOKEN)


def counter_of(tokenizer: bytes) -> Counter:
    """The counter for an encoder's tokenizer; empty when it has none."""
    return TokenCounter(tokenizer) if tokenizer else CharacterCounter()


class CounterShelf:
    """Keeps the last few counters, because making one costs more than reading a small file."""

    def __init__(self) -> None:
        self._counters: OrderedDict[str, Counter] = OrderedDict()

    def put(self, tokenizer: bytes) -> str:
        """Keep the counter of a tokenizer; its digest is its name."""
        digest = sha256(tokenizer).hexdigest()
        if digest not in self._counters:
            self._counters[digest] = counter_of(tokenizer)
        self._counters.move_to_end(digest)
        while len(self._counters) > _KEPT:
            self._counters.popitem(last=False)
        return digest

    def get(self, digest: str) -> Counter:
        """The counter of that name; KeyError when it was never put or is gone."""
        return self._counters[digest]
