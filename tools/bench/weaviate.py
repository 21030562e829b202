"""W1: recall and latency of the index in Weaviate with the settings shipped, beside the files."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from ragmesh.chassis.clocks import SystemClock
from ragmesh.retrieval.adapters.embedded.index import embedded_index
from ragmesh.retrieval.adapters.weaviate.index import weaviate_index
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from tools.bench.chunks import DIMENSION, spec_of_index
from tools.bench.corpus import Corpus, fill, made, spec_like
from tools.bench.hybrid import LIMIT, Ours
from tools.bench.loads import one_by_one
from tools.bench.page import Goal, Table
from tools.bench.searching import LABELS, Rounds
from tools.bench.stores import FLUSH_SECONDS, started

CHUNKS = 100_000
ROUNDS = 5
SEARCHES, RECALLS = 60, 50
LEAST_RECALL = 0.97
_AT_ONCE = 200
"""Documents that wait for Weaviate's flush together."""
_PATIENCE_SECONDS = 60.0
"""For one answer while so many are written; searches are only measured afterwards."""

ABOUT = f"""\
{CHUNKS:,} chunks, vectors of {DIMENSION} numbers around 1,000 centres, texts of this project's
sentences, in an index of files and in one of Weaviate with the settings that ship. Recall is that
of the ten most alike, {RECALLS} questions, by comparing with all chunks that pass the filter. A
search is hybrid: the ten best by meaning and by words, with their texts, one by one; {ROUNDS}
rounds of {SEARCHES} in turns, ratios are the medians of those of the rounds."""


async def measure_weaviate(_folder: Path | None) -> Table:
    """Both stores, on one corpus."""
    corpus = made(CHUNKS)
    spec = spec_like(spec_of_index().fingerprint, "bench")
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as place:
        async with (
            embedded_index(Path(place, "index")) as files,
            started("weaviate", Path(place, "weaviate")) as server,
            weaviate_index(
                replace(WeaviateServer.parse(server.url), timeout_seconds=_PATIENCE_SECONDS),
                clock=SystemClock(),
                flush_seconds=FLUSH_SECONDS,
            ) as remote,
        ):
            for index in (files, remote):
                await index.create(spec)
                await fill(index, spec, corpus, at_once=_AT_ONCE)
            uid = spec.index_version_uid
            ours = Ours(remote, uid, corpus.questions, corpus.words)
            beside = Ours(files, uid, corpus.questions, corpus.words)
            goals = [await _recall(ours, beside, corpus, label) for label in LABELS]
            rounds = await _rounds(ours, beside)
    goals += [
        rounds.goal("a hybrid search, p50", 0.5, None),
        rounds.goal("a hybrid search, p95", 0.95, None),
    ]
    return Table("W1: the index in Weaviate", ABOUT, tuple(goals), beside="files")


async def _recall(ours: Ours, beside: Ours, corpus: Corpus, label: str) -> Goal:
    shares = []
    for side in (ours, beside):
        found = [
            (corpus.nearest(number, label, LIMIT), await side.nearest(number, label))
            for number in range(RECALLS)
        ]
        shares.append(statistics.fmean(len(want & got) / len(want) for want, got in found))
    return Goal(
        f"recall@{LIMIT}, {LABELS[label]}",
        f"{shares[0]:.3f}",
        f"≥ {LEAST_RECALL}",
        shares[0] >= LEAST_RECALL,
        f"{shares[1]:.3f}",
    )


async def _rounds(ours: Ours, beside: Ours) -> Rounds:
    rounds, numbers = Rounds(), iter(range(10**9))
    for _ in range(ROUNDS):
        rounds.ours.append(await one_by_one(lambda: ours.hybrid(next(numbers)), SEARCHES))
        rounds.theirs.append(await one_by_one(lambda: beside.hybrid(next(numbers)), SEARCHES))
    return rounds
