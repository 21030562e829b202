"""Settings of the retrieval service."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.retrieval.follower import Patience

_PATIENCE = Patience()


class RetrievalSettings(Section):
    """Settings of the retrieval service."""

    threads: int | None = Field(
        None, ge=1, le=256, description="Threads that search; by default the usable cores."
    )
    first_heads_seconds: float = Field(
        _PATIENCE.first_heads_seconds,
        gt=0,
        le=60,
        description="Longest wait of a search for an index version whose published revisions"
        " have not all been read yet.",
    )
    stale_after_seconds: float = Field(
        _PATIENCE.stale_after_seconds,
        gt=1,
        le=60,
        description="Silence of the catalog after which restricted collections are not searched"
        " and open ones answer as of the last moment known.",
    )

    @property
    def patience(self) -> Patience:
        """How long searches wait for heads and trust old ones."""
        return Patience(
            first_heads_seconds=self.first_heads_seconds,
            stale_after_seconds=self.stale_after_seconds,
        )
