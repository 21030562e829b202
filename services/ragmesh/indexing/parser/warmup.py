"""Imports and runs every parser once, so that nothing is left to be loaded behind the walls."""

from __future__ import annotations

import encodings
import importlib
import pkgutil

import sentencex
from trafilatura.external import jt_stoplist_init

from ragmesh.indexing.parser.extraction import extract
from ragmesh.indexing.parser.samples import WORDS, samples

_WINDOWS_ONLY = {"mbcs", "oem"}


def warm_up() -> None:
    """Read one sample of every kind; a parser that does not work ends the process here."""
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in _WINDOWS_ONLY:
            # charset_normalizer silently rules out an encoding that it cannot import.
            importlib.import_module(f"encodings.{module.name}")
    jt_stoplist_init()  # trafilatura would read its stop lists at the first poor page
    sentencex.get_sentence_boundaries("en", WORDS)
    for sample in samples():
        if "arm up" not in extract(sample).text:
            raise RuntimeError(f"the parser of {sample.filename} does not work")
