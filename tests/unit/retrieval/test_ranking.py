"""A ranking compares every permitted row, however few there are among however many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragmesh.core.callers import OPEN
from ragmesh.core.filters import And, Eq, Filter, Not
from ragmesh.core.index import Head, HeadBatch
from ragmesh.core.metadata import Metadata
from ragmesh.core.vectors import Vector
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.embedded.live import LiveState, Rulings
from ragmesh.retrieval.adapters.embedded.ranking import Ranker
from ragmesh.retrieval.adapters.embedded.records import Held
from ragmesh.retrieval.adapters.embedded.words import Words
from ragmesh.retrieval.ports import RankRequest
from ragmesh.retrieval.wording import Wording
from ragmesh.testing.embedding import DIMENSION
from ragmesh.testing.retrieval import index_spec, uid_of
from ragmesh.testing.retrieval_finding import EVERYBODY

DOCUMENTS, A_DOCUMENT = 10_000, 10
LONE = DOCUMENTS
"""One more document, of a single chunk."""


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    """Of 100,001 chunks without words, every document with a number of its own."""
    spec, analyzer, rulings = index_spec(), Analyzer("en"), Rulings()
    words = Words(Path(tmp_path_factory.mktemp("words")), analyzer)
    heads = tuple(
        Head(uid_of(str(n)), 1, 1, OPEN, _chunks(n), "", n + 1) for n in range(DOCUMENTS + 1)
    )
    rulings.hear(HeadBatch(spec.index_version_uid, heads, len(heads), caught_up=True))
    snapshot = LiveState(spec, rulings).load(_held(), 1, words.searcher())
    return Ranker(snapshot, analyzer, words.schema)


def _chunks(document: int) -> int:
    return 1 if document == LONE else A_DOCUMENT


def _held() -> Iterator[tuple[Held, bytes]]:
    random = np.random.default_rng(1)
    for n in range(DOCUMENTS + 1):
        tokens = tuple(Metadata.parse({"number": n, "even": n % 2 == 0}).tokens())
        vectors = random.standard_normal((_chunks(n), DIMENSION), np.float32)
        yield (
            Held(n, uid_of(str(n)), 1, n * A_DOCUMENT, _chunks(n), n, 1, str(n), "", tokens, ()),
            vectors.tobytes(),
        )


@pytest.mark.parametrize(
    ("node", "documents"),
    [
        pytest.param(Eq("number", 7_777), {7_777}, id="one in ten thousand"),
        pytest.param(Eq("number", LONE), {LONE}, id="one chunk in a hundred thousand"),
        pytest.param(And((Eq("number", 8), Eq("even", True))), {8}, id="twice the same"),
        pytest.param(And((Eq("number", 8), Eq("even", False))), set(), id="a contradiction"),
        pytest.param(And((Eq("number", 8), Not(Eq("number", 8)))), set(), id="its own contrary"),
    ],
)
def test_a_filter_that_keeps_very_little_loses_none_of_it(
    ranker: Ranker, node: Filter, documents: set[int]
) -> None:
    found = _found(ranker, node, 1_000)
    assert {place // A_DOCUMENT for place in found} == documents
    assert len(found) == sum(map(_chunks, documents))


def test_the_best_rows_are_those_that_comparing_all_gives(ranker: Ranker) -> None:
    matrix = np.concatenate([segment.vectors for segment in ranker.snapshot.segments])
    even = np.arange(len(matrix)) // A_DOCUMENT % 2 == 0
    for node, mask in ((None, np.ones_like(even)), (Eq("even", True), even)):
        scores = np.where(mask, matrix @ _question(), -np.inf)
        assert _found(ranker, node, 10) == np.argsort(-scores)[:10].tolist()


def _found(ranker: Ranker, node: Filter | None, wanted: int) -> list[int]:
    vector = Vector(_question().astype("<f4").tobytes())
    prepared = ranker.prepare(RankRequest(EVERYBODY, Wording(""), vector, True, node, wanted))
    (rows,) = ranker.scan([prepared], lambda: None)
    dense, keyword = ranker.finish(prepared, rows).rankings
    assert keyword.places == ()
    return list(dense.places)


def _question() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vector = np.arange(1, DIMENSION + 1, dtype=np.float32)
    unit: np.ndarray[tuple[int], np.dtype[np.float32]] = vector / np.linalg.norm(vector)
    return unit
