"""A fake OpenAI-compatible server that fails exactly as it is told to.

    async with fake_provider() as provider:
        provider.fail(refuse(429, retry_after="1"), cut(at_token=3))
        ...  # speak to provider.url with any OpenAI-compatible client
        assert provider.calls[-1].tokens_after_cancel == 0

It serves `/v1/chat/completions` (streamed or not), `/v1/embeddings`, `/v1/rerank` (Cohere, Jina and
TEI) and `/v1/models` on a free port of the loopback interface, over real sockets, and says the same
every time: words are hashed into vectors, relevance is the share of words in common.
"""

from __future__ import annotations

from ragmesh.testing.provider.faults import (
    Area,
    Fault,
    FaultKind,
    changed_model,
    cut,
    end_early,
    error_event,
    not_a_number,
    refuse,
    stall,
    wrong_dimension,
    wrong_json,
)
from ragmesh.testing.provider.server import FakeProvider, ProviderCall, fake_provider

__all__ = [
    "Area",
    "FakeProvider",
    "Fault",
    "FaultKind",
    "ProviderCall",
    "changed_model",
    "cut",
    "end_early",
    "error_event",
    "fake_provider",
    "not_a_number",
    "refuse",
    "stall",
    "wrong_dimension",
    "wrong_json",
]
