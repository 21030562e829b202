"""Settings of the retrieval service."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from pydantic import Field, SecretStr

from ragmesh.chassis.settings import Section
from ragmesh.retrieval.follower import Patience
from ragmesh.retrieval.reranking import RerankApi, RerankEndpoint, RerankLimits

_PATIENCE = Patience()
_RERANK = RerankLimits()


class RerankerSettings(Section):
    """A stronger model behind HTTP that reorders the best candidates."""

    url: str = Field(
        pattern=r"^https?://[^\s@?#]+$",
        description="Whole address of its rerank call, such as https://api.cohere.com/v2/rerank.",
    )
    api: RerankApi = Field(
        RerankApi.COHERE,
        description="cohere = also Jina, vLLM and others; tei = text-embeddings-inference.",
    )
    model: str = Field("", max_length=200, description="Name of the model, where it has one.")
    api_key: SecretStr | None = Field(None, description="Key that is sent, if any.")
    api_key_file: Path | None = Field(None, description="File that holds the key.")
    candidates: int = Field(
        _RERANK.candidates, ge=1, le=200, description="Candidates that it judges."
    )
    timeout_seconds: float = Field(
        _RERANK.seconds,
        gt=0,
        le=30,
        description="Longest wait; then hits stand in the fused order, marked RERANK_SKIPPED.",
    )

    @property
    def limits(self) -> RerankLimits:
        """How much it is asked, and how long it is waited for."""
        return RerankLimits(candidates=self.candidates, seconds=self.timeout_seconds)

    @property
    def digest(self) -> str:
        """Of everything that decides how it orders; its key and its patience left out."""
        decisive = [self.url, self.api.value, self.model, self.candidates]
        return sha256(json.dumps(decisive).encode()).hexdigest()[:16]

    @property
    def endpoint(self) -> RerankEndpoint:
        """Where it is and how it is spoken to."""
        key = "" if self.api_key is None else self.api_key.get_secret_value()
        return RerankEndpoint(self.url, self.api, self.model, key)


class RetrievalSettings(Section):
    """Settings of the retrieval service."""

    threads: int | None = Field(
        None, ge=1, le=256, description="Threads that search; by default the usable cores."
    )
    memory_megabytes: int = Field(
        2_048,
        ge=1,
        le=16_777_216,
        description="Most memory of index versions that are open. One is opened when it is used;"
        " those used longest ago are closed when more is needed. The last one stays, however large"
        " it is.",
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

    reranker: RerankerSettings | None = Field(None)

    @property
    def reranker_digest(self) -> str:
        """Of the reranker; empty without one."""
        return "" if self.reranker is None else self.reranker.digest

    @property
    def memory_bytes(self) -> int:
        """Most memory of index versions that are open."""
        return self.memory_megabytes << 20

    @property
    def patience(self) -> Patience:
        """How long searches wait for heads and trust old ones."""
        return Patience(
            first_heads_seconds=self.first_heads_seconds,
            stale_after_seconds=self.stale_after_seconds,
        )
