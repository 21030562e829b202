"""One index version as this replica knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.weaviate.counts import WordCounts
from ragmesh.retrieval.adapters.weaviate.heads import Heads
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink
from ragmesh.retrieval.adapters.weaviate.revisions import Record, Revisions
from ragmesh.retrieval.adapters.weaviate.schema import REVISIONS, chunks_collection
from ragmesh.retrieval.adapters.weaviate.shard import Shard
from ragmesh.retrieval.adapters.weaviate.together import together

_MOST_BY_KEY = 16
"""Records that one look reads one by one; more are not written in the same moment."""


@dataclass(frozen=True, slots=True)
class Version:
    """Where its chunks and records are, and what was heard of its heads."""

    spec: IndexSpec
    analyzer: Analyzer
    chunks: Shard
    revisions: Revisions
    counts: WordCounts
    heads: Heads = field(default_factory=Heads)

    @classmethod
    def of(cls, spec: IndexSpec, link: WeaviateLink) -> Version:
        """The index version of a spec."""
        uid = spec.index_version_uid
        chunks = Shard(link, chunks_collection(spec), uid)
        return cls(
            spec,
            Analyzer(spec.language),
            chunks,
            Revisions(Shard(link, REVISIONS, uid)),
            WordCounts(chunks),
        )

    async def look(self, now: float) -> None:
        """Ask the store about heads of which it is not known whether their chunks are there."""
        asked = self.heads.to_check(now)
        if asked:
            self.heads.checked(asked, await self._records(asked), now)

    async def _records(self, owners: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Record]:
        """The records of these revisions, as far as they are there.

        While a record is written anew, indexes lose sight of it for a moment; its key does not.
        """
        seen = await self.revisions.of(owners)
        unseen = [owner for owner in owners if owner not in seen][:_MOST_BY_KEY]
        read = await together(self.revisions.get(*owner) for owner in unseen)
        return {**seen, **{(one.document_uid, one.revision): one for one in read if one}}
