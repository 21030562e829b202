"""Imports and runs every parser once, so that nothing is left to be loaded behind the walls."""

from __future__ import annotations

import encodings
import importlib
import pkgutil

import sentencex
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from trafilatura.external import jt_stoplist_init

from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.samples import WORDS, samples
from ragmesh.indexing.parser.tokens import TokenCounter

_WINDOWS_ONLY = {"mbcs", "oem"}


def warm_up() -> None:
    """Read one sample of every kind; a parser that does not work ends the process here."""
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in _WINDOWS_ONLY:
            # charset_normalizer silently rules out an encoding that it cannot import.
            importlib.import_module(f"encodings.{module.name}")
    jt_stoplist_init()  # trafilatura would read its stop lists at the first poor page
    TokenCounter(_tokenizer()).count(WORDS)
    sentencex.get_sentence_boundaries("en", WORDS)
    for sample in samples():
        if "arm up" not in extract(sample).text:
            raise RuntimeError(f"the parser of {sample.filename} does not work")


def _tokenizer() -> bytes:
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106 - no secret
    words.normalizer = BertNormalizer()
    words.pre_tokenizer = BertPreTokenizer()
    return words.to_str().encode()
