"""What a search reads: one moment of one index version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragmesh.core.search import QueryTerm
from ragmesh.retrieval.adapters.embedded.desk import Desk
from ragmesh.retrieval.adapters.embedded.shard import Shard
from ragmesh.retrieval.adapters.embedded.snapshot import Snapshot
from ragmesh.retrieval.ports import Rankings, RankRequest, StoredChunk


@dataclass(frozen=True, slots=True)
class EmbeddedView:
    """One snapshot of one index version."""

    shard: Shard
    snapshot: Snapshot
    desk: Desk

    @property
    def heads_sequence(self) -> int:
        """The sequence up to which heads decided what is visible."""
        return self.snapshot.heads_sequence

    @property
    def missing_documents(self) -> int:
        """How many documents are published, and their chunks are not here."""
        return self.snapshot.missing_documents

    async def rank(self, request: RankRequest) -> Rankings:
        """The best visible chunks that the caller may see and the filter lets pass."""
        return await self.desk.rank(self.shard.ranker(self.snapshot), request)

    async def load(
        self, places: Sequence[int], terms: Sequence[QueryTerm]
    ) -> tuple[StoredChunk, ...]:
        """The chunks at these places of this view, in the order asked for."""
        return await self.desk.threads.run(self.shard.load, self.snapshot, places, terms)
