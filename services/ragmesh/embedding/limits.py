"""How much the embedding service takes at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddingLimits:
    """Bounds of requests, queues and batches."""

    text_characters: int = 100_000
    """Longest text that is looked at; tokenising is what this bounds."""
    request_characters: int = 2_000_000
    """Most characters of one request, all its texts together."""
    query_texts: int = 64
    """Most texts of one request in the query lane."""
    bulk_texts: int = 1_000
    """Most texts or passages of one request in the bulk lane."""
    query_queue_texts: int = 512
    """Most texts waiting in the query lane before requests are refused."""
    bulk_queue_texts: int = 4_096
    """Most texts waiting in the bulk lane before requests are refused."""
    query_batch_texts: int = 32
    """Most texts of several requests that are encoded together in the query lane."""
    batch_tokens: int = 384
    """Most tokens, padding counted, of one bulk call: the longest that a query may have to share
    the processor with one. What more of them pass from layer to layer leaves the core's cache:
    at 1,024 each costs a tenth more."""
    calm_seconds: float = 1.0
    """Bulk calls hold a single text until no query was seen for this long."""
