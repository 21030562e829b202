"""Runs every parser of a family once, so that nothing is left to be loaded behind the walls."""

from __future__ import annotations

import encodings
import importlib
import pkgutil
from pkgutil import get_data

import sentencex
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from ragmesh.indexing.parser.extraction import extract, load
from ragmesh.indexing.parser.kinds import Family, kind_of
from ragmesh.indexing.parser.samples import WORDS, samples
from ragmesh.indexing.parser.tokens import TokenCounter

_WINDOWS_ONLY = {"mbcs", "oem"}


def warm_up(family: Family) -> None:
    """Read one sample of every kind; a parser that does not work ends the process here."""
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in _WINDOWS_ONLY:
            # charset_normalizer silently rules out an encoding that it cannot import.
            importlib.import_module(f"encodings.{module.name}")
    TokenCounter(_tokenizer()).count(WORDS)
    sentencex.get_sentence_boundaries("en", WORDS)
    if family is Family.PAGES:
        _load_stop_words()
    load(family)
    for sample in samples():
        if kind_of(sample).family is family and "arm up" not in extract(sample).text:
            raise RuntimeError(f"the parser of {sample.filename} does not work")


def _load_stop_words() -> None:
    """Have trafilatura know the words that it would read from files at the first poor page.

    Its own `jt_stoplist_init` makes the same of them word by word, in a quarter of a second.
    """
    from trafilatura import external

    words: set[str] = set()
    for name in external.get_stoplists():  # type: ignore[attr-defined]
        content = get_data("justext", f"stoplists/{name}.txt") or b""
        words.update(content.decode().lower().replace("\r", "").split("\n"))
    external.JT_STOPLIST = tuple(words - {""})  # type: ignore[assignment]


def _tokenizer() -> bytes:
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106 - no secret
    words.normalizer = BertNormalizer()
    words.pre_tokenizer = BertPreTokenizer()
    return words.to_str().encode()
