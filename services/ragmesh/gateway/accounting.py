"""The account of one call: what it used and showed, put into the books once each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ragmesh.core.answers import Answer, AnswerStatus, Citation, Usage
from ragmesh.core.callers import Caller, Principal
from ragmesh.core.errors import RagmeshError
from ragmesh.core.search import Hit, Timings
from ragmesh.core.usage import SeenDocument, SightRecord, UsageRecord
from ragmesh.gateway.ports import Books
from ragmesh.gateway.stopwatch import Stopwatch

CANCELLED = "CANCELLED"
"""Error of a call that its caller left."""
BUDGET_SPENT = "BUDGET_SPENT"
"""Degraded: the budget is spent, and an engine without a price answered."""


@dataclass(slots=True)
class Account:
    """Of one call of a user; machines of the mesh have none."""

    books: Books
    caller: Caller
    method: str
    watch: Stopwatch
    collection_uid: str = ""
    _charged: bool = field(default=False, init=False)
    _shown: bool = field(default=False, init=False)

    def charge(
        self, model: str = "", *, cached: bool = False, documents: int = 0, error: str = ""
    ) -> None:
        """What a call without a price used."""
        record = self._usage(model, Usage(), cached=cached, documents=documents, error=error)
        if record is not None:
            self.books.put(record)

    def charge_spent(self, model: str, usage: Usage, error: str) -> None:
        """What a call had cost when it broke off."""
        record = self._usage(model, usage, error=error)
        if record is not None:
            self.books.put(record, paid=bool(usage.cost_dollars))

    async def charge_answer(self, model: str, usage: Usage) -> None:
        """What an answer cost; what was paid is durable when this returns."""
        record = self._usage(model, usage)
        if record is None:
            return
        if usage.cost_dollars:
            await self.books.put_durably(record)
        else:
            self.books.put(record)

    def show(self, documents: Sequence[SeenDocument]) -> None:
        """What the caller was shown."""
        if self._shown or not documents or not isinstance(self.caller, Principal):
            return
        self._shown = True
        call = self.books.call(self.caller, self.method)
        self.books.put(SightRecord(call, self.collection_uid, tuple(documents)))

    def _usage(
        self,
        model: str,
        usage: Usage,
        *,
        cached: bool = False,
        documents: int = 0,
        error: str = "",
    ) -> UsageRecord | None:
        if self._charged or not isinstance(self.caller, Principal):
            return None
        self._charged = True
        timings: Timings = self.watch.read()
        return UsageRecord(
            call=self.books.call(self.caller, self.method),
            collection_uid=self.collection_uid,
            model=model,
            usage=usage,
            cached=cached,
            error=error,
            timings_ms=timings,
            duration_ms=dict(timings)["total"],
            documents=documents,
        )


def error_of(error: BaseException) -> str:
    """The stable name of an error, never its text."""
    if isinstance(error, RagmeshError):
        return error.reason
    if isinstance(error, (GeneratorExit, asyncio.CancelledError)):
        return CANCELLED
    return "INTERNAL"


def seen_in_answer(answer: Answer, read: Iterable[str]) -> list[SeenDocument]:
    """What an answer shows: its citations, and that it was made from these documents."""
    if answer.status is AnswerStatus.NO_CONTEXT:
        return []
    return seen_in_citations(answer.citations, read)


def seen_in_citations(citations: Iterable[Citation], read: Iterable[str]) -> list[SeenDocument]:
    """The chunks that are quoted, by document; the others that were read have none."""
    chunks: dict[str, dict[str, None]] = {uid: {} for uid in read}
    for citation in citations:
        chunks.setdefault(citation.document_uid, {})[citation.chunk_id] = None
    return [SeenDocument(uid, tuple(ids)) for uid, ids in chunks.items()]


def seen_in_hits(hits: Iterable[Hit]) -> list[SeenDocument]:
    """The chunks that were found, by document."""
    chunks: dict[str, list[str]] = {}
    for hit in hits:
        chunks.setdefault(hit.document_uid, []).append(hit.chunk_id)
    return [SeenDocument(uid, tuple(ids)) for uid, ids in chunks.items()]
