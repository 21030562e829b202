"""A process that opens the corpus's index, answers one question, says what it took, and ends."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from ragmesh.chassis.executors import run
from ragmesh.core.callers import OPEN
from ragmesh.core.index import Head, HeadBatch
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from tools.bench.corpus import A_DOCUMENT, Floats
from tools.bench.hybrid import Ours


async def opened(folder: str, documents: int, questions: Floats, words: list[str]) -> float:
    """Seconds from nothing open to the first hits, heads heard in between.

    The heads are ready: reading them is the catalog's work, which the other side does not have.
    """
    numbers = range(1, documents + 1)
    heads = tuple(
        Head(f"d{number - 1:08}", 1, 1, OPEN, A_DOCUMENT, "", number) for number in numbers
    )
    begun = time.perf_counter()
    async with embedded_index(Path(folder)) as index:
        (uid,) = await index.list_indexes()
        await index.apply_heads(HeadBatch(uid, heads, len(heads), caught_up=True))
        await Ours(index, uid, questions, words).hybrid(0)
        return time.perf_counter() - begun


def main(folder: str, corpus: str) -> None:
    """Open it, and tell what it took."""
    questions = np.load(Path(corpus, "questions.npy"))
    words = json.loads(Path(corpus, "words.json").read_text("utf-8"))
    documents = len(np.load(Path(corpus, "vectors.npy"), mmap_mode="r")) // A_DOCUMENT
    seconds = run(opened(folder, documents, questions, words))
    print(json.dumps({"seconds": seconds, "mebibytes": resident_mebibytes()}))


def resident_mebibytes() -> float:
    """What of this process lies in memory."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
