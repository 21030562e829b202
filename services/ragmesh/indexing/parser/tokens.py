"""Counts the tokens an encoder would see."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from tokenizers import Tokenizer

_KEPT = 4


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


class CounterShelf:
    """Keeps the last few counters, because making one costs more than reading a small file."""

    def __init__(self) -> None:
        self._counters: OrderedDict[str, TokenCounter] = OrderedDict()

    def put(self, tokenizer: bytes) -> str:
        """Keep the counter of a tokenizer; its digest is its name."""
        digest = sha256(tokenizer).hexdigest()
        if digest not in self._counters:
            self._counters[digest] = TokenCounter(tokenizer)
        self._counters.move_to_end(digest)
        while len(self._counters) > _KEPT:
            self._counters.popitem(last=False)
        return digest

    def get(self, digest: str) -> TokenCounter:
        """The counter of that name; KeyError when it was never put or is gone."""
        return self._counters[digest]
