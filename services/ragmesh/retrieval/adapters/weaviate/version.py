"""One index version as this replica knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ragmesh.core.index import IndexSpec
from ragmesh.retrieval.adapters.analysis import Analyzer
from ragmesh.retrieval.adapters.weaviate.counts import WordCounts
from ragmesh.retrieval.adapters.weaviate.heads import Heads
from ragmesh.retrieval.adapters.weaviate.link import WeaviateLink
from ragmesh.retrieval.adapters.weaviate.revisions import Revisions
from ragmesh.retrieval.adapters.weaviate.schema import REVISIONS, chunks_collection
from ragmesh.retrieval.adapters.weaviate.shard import Shard


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
            self.heads.checked(asked, await self.revisions.of(asked), now)
