"""Documents to measure with: of a folder, or new ones of the sentences of this project's pages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tools.bench.page import ROOT

_PLACES = ("docs/explanation", "docs/how-to", "docs/adr", "examples/handbook")
_TEXTS = {".md", ".txt", ".rst", ".html"}
_SENTENCE = re.compile(r"[A-Z][^.|`\n]{30,200}\.(?=\s)")
_PARAGRAPH_SENTENCES = 5


def documents(folder: Path | None, *, sentences: int, seed: int) -> Iterator[str]:
    """Texts without end, no two alike; of a folder's own, each of them marked with a number."""
    if folder is not None:
        found = [path for path in sorted(folder.rglob("*")) if path.suffix in _TEXTS]
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in found]
        for number, text in enumerate(itertools.cycle(texts)):
            yield f"Copy {seed}.{number}.\n\n{text}"
        return
    known, chosen = _sentences(), Random(seed)
    for number in itertools.count():
        picked = chosen.choices(known, k=sentences)
        parts = [
            " ".join(picked[start : start + _PARAGRAPH_SENTENCES])
            for start in range(0, sentences, _PARAGRAPH_SENTENCES)
        ]
        yield f"# Document {seed}.{number}\n\n" + "\n\n".join(parts) + "\n"


def _sentences() -> list[str]:
    pages = [path for place in _PLACES for path in sorted((ROOT / place).rglob("*.md"))]
    texts = (path.read_text(encoding="utf-8").replace("\n", " ") for path in pages)
    return [sentence for text in texts for sentence in _SENTENCE.findall(text)]
