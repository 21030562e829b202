"""Golden questions kept with a collection, and what asking them found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragmesh.core.callers import Caller
from ragmesh.core.clock import Clock
from ragmesh.core.errors import GoldenQuestionsMissingError
from ragmesh.core.migrations import EvaluationRecord, GoldenQuestions
from ragmesh.core.pages import Page, PageRequest
from ragmesh.evaluation.golden import read_golden
from ragmesh.indexing.collections import Collections
from ragmesh.indexing.dead_letters import refuse_others
from ragmesh.indexing.deeds import kept_golden
from ragmesh.indexing.migration_stores import Cause
from ragmesh.indexing.paging import key_of, page_of
from ragmesh.indexing.stores import Catalog

MOST_EVALUATIONS = 4
"""Of a page: with as many questions as may be kept each has up to 36 MB of scores."""


@dataclass(frozen=True, slots=True)
class GoldenSets:
    """By what a collection's index is judged before it may answer."""

    catalog: Catalog
    collections: Collections
    clock: Clock

    async def keep(self, caller: Caller, name: str, content: str) -> GoldenQuestions:
        """Keep these instead of any others; every line at fault is named in the refusal."""
        refuse_others(caller)
        row = await self.collections.read(caller, name)
        await self.collections.refuse_kept(caller, row)
        golden = read_golden(content.encode())
        kept = GoldenQuestions(content, golden.digest, len(golden.questions), self.clock.now())
        deed = kept_golden(name, kept.questions, kept.digest)
        await self.catalog.keep_golden(row.uid, kept, Cause(caller, deed))
        return kept

    async def get(self, caller: Caller, name: str) -> GoldenQuestions:
        """What the collection keeps, else GoldenQuestionsMissingError."""
        refuse_others(caller)
        row = await self.collections.read(caller, name)
        kept = await self.catalog.find_golden(row.uid)
        if kept is None:
            raise GoldenQuestionsMissingError(
                f"the collection {name} keeps no golden questions", metadata={"collection": name}
            )
        return kept

    async def evaluations(
        self, caller: Caller, name: str, page: PageRequest
    ) -> Page[EvaluationRecord]:
        """What asking them found, the newest first; no more in a page than a reply may hold."""
        refuse_others(caller)
        row = await self.collections.read(caller, name)
        listing = f"evaluations {row.uid}"
        page = replace(page, size=min(page.rows, MOST_EVALUATIONS))
        found = await self.catalog.list_evaluations(
            row.uid, before_id=key_of(listing, page.token), limit=page.rows + 1
        )
        return page_of(listing, page, found, lambda record: record.evaluation_id)
