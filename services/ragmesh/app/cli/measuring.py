"""Asks a mesh golden questions, as any client would, and keeps what comes back."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from ragmesh.app.cli.answering import answered
from ragmesh.core.answers import Answer, AnswerStatus, AskQuery, CacheMode
from ragmesh.core.errors import Kind, NotFoundError, RagmeshError
from ragmesh.core.questions import MAX_LIMIT
from ragmesh.core.search import SearchQuery, SearchResult
from ragmesh.evaluation.ranking import ranked
from ragmesh.evaluation.results import Evaluation, QuestionResult, measured, unmeasured
from ragmesh.evaluation.scoring import Cited, Seen

if TYPE_CHECKING:
    from ragmesh.app.cli.ports import Mesh
    from ragmesh.core.answers import Citation
    from ragmesh.evaluation.golden import GoldenQuestion, GoldenSet

_CHUNKS_PER_DOCUMENT = 3
"""A document counts once, however many of its chunks are found; so more chunks are asked for."""
_TEXTS = 64
"""Texts that are kept to check quotes in, the last ones used."""
_LOST = frozenset({Kind.UNAVAILABLE, Kind.EXHAUSTED, Kind.DEADLINE, Kind.INTERNAL})
"""Kinds of errors that are one question's misfortune; others would meet every question."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, and how."""

    golden: GoldenSet
    collection: str
    k: int
    at_once: int = 1
    """Questions under way at the same time; with more than one they wait for each other."""


def _untold(_done: int) -> None:
    """Nobody watches."""


async def evaluate(mesh: Mesh, plan: Plan, tell: Callable[[int], None] = _untold) -> Evaluation:
    """Ask every question; `tell` is given how many are done."""
    await mesh.get_collection(plan.collection)
    measuring = _Measuring(mesh, plan, tell)
    started = datetime.now(UTC)
    waiting = iter(range(len(plan.golden.questions)))
    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.at_once):
            tasks.create_task(measuring.work(waiting))
    return Evaluation(
        version=version("ragmesh"),
        collection=plan.collection,
        golden_digest=plan.golden.digest,
        k=plan.k,
        started_at=started,
        index_versions=tuple(sorted(measuring.index_versions)),
        models=tuple(sorted(measuring.models)),
        results=tuple(measuring.results[place] for place in sorted(measuring.results)),
    )


@dataclass(slots=True)
class _Measuring:
    """One run."""

    mesh: Mesh
    plan: Plan
    tell: Callable[[int], None]
    results: dict[int, QuestionResult] = field(default_factory=dict)
    index_versions: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    texts: OrderedDict[tuple[str, int], str] = field(default_factory=OrderedDict)

    async def work(self, waiting: Iterator[int]) -> None:
        """Take questions until none waits."""
        for place in waiting:
            self.results[place] = await self._measure(self.plan.golden.questions[place])
            self.tell(len(self.results))

    async def _measure(self, golden: GoldenQuestion) -> QuestionResult:
        try:
            seen = await self._see(golden)
        except RagmeshError as error:
            if error.kind not in _LOST:
                raise
            return unmeasured(golden, error.reason)
        if seen.status is AnswerStatus.PARTIAL:
            return unmeasured(golden, seen.status.value)
        return measured(golden, seen, self.plan.k)

    async def _see(self, golden: GoldenQuestion) -> Seen:
        began = time.perf_counter()
        found = await self.mesh.search(self._search_of(golden))
        between = time.perf_counter()
        answer = await answered(self.mesh, self._ask_of(golden))
        ended = time.perf_counter()
        self._remember(found, answer)
        return Seen(
            ranking=ranked(hit.document_id for hit in found.hits)[: self.plan.k],
            status=answer.status,
            answer=answer.answer,
            citations=tuple([await self._checked(one) for one in answer.citations]),
            confidence=answer.confidence,
            groundedness=answer.groundedness,
            degraded=tuple(dict.fromkeys((*found.degraded, *answer.degraded))),
            usage=answer.usage,
            search_ms=(between - began) * 1_000,
            answer_ms=(ended - between) * 1_000,
        )

    def _search_of(self, golden: GoldenQuestion) -> SearchQuery:
        limit = min(MAX_LIMIT, self.plan.k * _CHUNKS_PER_DOCUMENT)
        return SearchQuery(self.plan.collection, golden.question, limit=limit)

    def _ask_of(self, golden: GoldenQuestion) -> AskQuery:
        # A stored answer would be the one of the run before.
        return AskQuery(
            self.plan.collection,
            golden.question,
            history=golden.history,
            cache=CacheMode.BYPASS,
        )

    def _remember(self, found: SearchResult, answer: Answer) -> None:
        self.index_versions |= {found.index_version, answer.index_version}
        self.models.add(answer.model)

    async def _checked(self, citation: Citation) -> Cited:
        """The citation, and whether its quote stands where it says."""
        try:
            text = await self._text(citation.document_id, citation.revision)
        except NotFoundError:
            return Cited(citation.document_id, citation.quote, exact=False)
        exact = citation.span.of(text) == citation.quote
        return Cited(citation.document_id, citation.quote, exact)

    async def _text(self, document_id: str, revision: int) -> str:
        key = (document_id, revision)
        if key not in self.texts:
            found = await self.mesh.get_document_text(
                self.plan.collection, document_id, revision=revision
            )
            self.texts[key] = found.text
        self.texts.move_to_end(key)
        while len(self.texts) > _TEXTS:
            self.texts.popitem(last=False)
        return self.texts[key]
