"""What is seen of a mesh when it is asked a golden question, and the scores this earns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ragmesh.core.answers import AnswerStatus, Usage
from ragmesh.evaluation.golden import GoldenQuestion
from ragmesh.evaluation.ranking import Ranking, ndcg_at, recall_at, reciprocal_rank_at

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "recall": "share of the relevant documents among the first k",
        "ndcg": "gain of the first k documents by grade, each place worth less than the one before",
        "mrr": "one divided by the place of the first relevant document",
        "citation_precision": "share of an answer's citations that name a relevant document",
        "quote_exactness": "share of an answer's quotes that stand letter for letter in their "
        "document",
        "groundedness": "share of an answer's sentences that a citation supports",
        "answer_match": "whether an answer holds one of the texts that a right one holds",
        "answering": "whether a question that a document answers is answered",
        "abstention": "whether a question that no document answers is refused",
    }
)
"""Every metric in the order in which it is reported: a number in [0, 1], the higher the better."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation of an answer, checked."""

    document_id: str
    quote: str
    exact: bool
    """Whether the quote stands letter for letter where the citation says."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything of one search and one answer that is scored."""

    ranking: Ranking
    status: AnswerStatus
    answer: str
    citations: tuple[Cited, ...]
    confidence: float
    groundedness: float
    degraded: tuple[str, ...]
    usage: Usage
    search_ms: float
    answer_ms: float
    """From asking to the end of the answer, as the client waits."""


def score(golden: GoldenQuestion, seen: Seen, k: int) -> dict[str, float]:
    """The scores of a question; a metric that says nothing about it is not among them.

    Metrics of the answer look at answers only. One that was refused counts in `answering` or
    `abstention`: else a mesh that answers nothing would look perfect or worthless by all others.
    """
    refused = seen.status is AnswerStatus.NO_CONTEXT
    scores = {} if refused else _of_any_answer(seen)
    if golden.answerable:
        if not golden.history:
            # A search knows no history, and finds nothing by words that lean on it.
            scores |= score_ranking(golden, seen.ranking, k)
        scores["answering"] = float(not refused)
        if not refused:
            scores |= _of_right_answer(golden, seen)
    else:
        scores["abstention"] = float(refused)
    return {name: scores[name] for name in METRICS if name in scores}


def score_ranking(golden: GoldenQuestion, ranking: Ranking, k: int) -> dict[str, float]:
    """The scores of a ranking alone, of a question that some document answers."""
    return {
        "recall": recall_at(k, ranking, golden.relevant),
        "ndcg": ndcg_at(k, ranking, golden.relevant),
        "mrr": reciprocal_rank_at(k, ranking, golden.relevant),
    }


def _of_any_answer(seen: Seen) -> dict[str, float]:
    scores = {"groundedness": seen.groundedness}
    if seen.citations:
        exact = sum(cited.exact for cited in seen.citations)
        scores["quote_exactness"] = exact / len(seen.citations)
    return scores


def _of_right_answer(golden: GoldenQuestion, seen: Seen) -> dict[str, float]:
    citations = seen.citations
    right = sum(golden.relevant.get(cited.document_id, 0) > 0 for cited in citations)
    # An answer that names no source is not precise.
    scores = {"citation_precision": right / len(citations) if citations else 0.0}
    if golden.answers:
        said = _plain(" ".join([seen.answer, *(cited.quote for cited in citations)]))
        scores["answer_match"] = float(any(_plain(text) in said for text in golden.answers))
    return scores


def _plain(text: str) -> str:
    """White space and case say nothing about whether it was said."""
    return " ".join(text.split()).casefold()
