"""Index versions on a real Weaviate, for tests that share the server and keep apart by uid."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from ragmesh.chassis.clocks import SystemClock
from ragmesh.retrieval.adapters.weaviate.index import WeaviateIndex, weaviate_index
from ragmesh.retrieval.adapters.weaviate.server import WeaviateServer
from tools.servers.server import Server

NOT_FLUSHED = 0.0
"""For whoever does not compare scores of keywords: nobody waits until they are right."""


def index_on(
    server: Server, *, flush_seconds: float = NOT_FLUSHED, timeout_seconds: float = 5.0
) -> AbstractAsyncContextManager[WeaviateIndex]:
    """The index of a server."""
    parsed = WeaviateServer.parse(server.url)
    chosen = WeaviateServer(
        parsed.host, parsed.http_port, parsed.grpc_port, timeout_seconds=timeout_seconds
    )
    return weaviate_index(chosen, clock=SystemClock(), flush_seconds=flush_seconds)
