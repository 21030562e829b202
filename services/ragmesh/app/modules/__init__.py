"""Every startable module and every target, as literal tables.

A module is an async context manager: it finds its needs in the wiring, which were started before
it and are stopped after it, or are dialled. Loops belong to the lifecycle's task group. The file
of a module is imported when it is opened, so that a process loads only what its target runs.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

from ragmesh.app.settings import Settings
from ragmesh.app.wiring import Wiring

_HERE = __name__


@dataclass(frozen=True, slots=True)
class Module:
    """A startable unit, where it is written, and the ports that it asks the wiring for."""

    home: str
    """File and function, as `file:function` below this package."""
    needs: tuple[str, ...] = ()
    """What must be there before it; what does not run in its process is dialled."""
    refusal: str | None = None
    """Function of `refusals` that raises what is known to be wrong before anything is loaded."""

    def load(self) -> None:
        """Import what it is made of."""
        resolve_name(f"{_HERE}.{self.home}")

    def open(self, wiring: Wiring) -> AbstractAsyncContextManager[Any]:
        """What runs for the time of the block."""
        opened: AbstractAsyncContextManager[Any] = resolve_name(f"{_HERE}.{self.home}")(wiring)
        return opened

    def refuse(self, settings: Settings, in_cluster: bool) -> None:
        """Raise what is wrong already."""
        if self.refusal is not None:
            resolve_name(f"{_HERE}.refusals:{self.refusal}")(settings, in_cluster)


MODULES = MappingProxyType(
    {
        "telemetry": Module("telemetry:open_telemetry"),
        "tls": Module("tls:open_tls", refusal="refuse_certificates"),
        "identity": Module("identity:open_identity"),
        "health": Module("internal:open_health"),
        "internal_http": Module(
            "internal:open_internal_http", needs=("health",), refusal="refuse_internal_listening"
        ),
        "internal_grpc": Module("internal:open_internal_grpc", needs=("health", "identity")),
        "cache": Module("cache:open_cache"),
        "embedding": Module("embedding:open_embedding", needs=("cache",)),
        "retrieval": Module(
            "retrieval:open_retrieval", needs=("embedding",), refusal="refuse_index"
        ),
        "generation": Module("generation:open_generation"),
        "parsers": Module("indexing:open_parsers"),
        "events": Module("indexing:open_events", refusal="refuse_events"),
        "catalog": Module(
            "indexing:open_catalog",
            needs=("cache", "embedding", "retrieval"),
            refusal="refuse_catalog",
        ),
        "indexing": Module("indexing:open_indexing", needs=("catalog", "events", "retrieval")),
        "heads": Module("retrieval:follow_heads", needs=("retrieval", "indexing")),
        "indexer": Module(
            "indexing:open_indexer",
            needs=("cache", "catalog", "embedding", "events", "parsers", "retrieval"),
        ),
        "gateway": Module(
            "gateway:open_gateway",
            needs=("health", "cache", "embedding", "retrieval", "generation", "indexing"),
            refusal="refuse_public_listening",
        ),
    }
)
_INTERNAL = ("telemetry", "tls", "identity", "health", "internal_http")
TARGETS = MappingProxyType(
    {
        "all": (
            "telemetry",
            "tls",
            "health",
            "internal_http",
            # Processes that warm up while the encoders are loaded.
            "parsers",
            "cache",
            "embedding",
            "retrieval",
            "generation",
            "events",
            "catalog",
            "indexing",
            # What flows back is a stream that starts once both of its ends are built.
            "heads",
            "indexer",
            "gateway",
        ),
        "gateway": (*_INTERNAL, "gateway"),
        "embedding": (*_INTERNAL, "embedding", "internal_grpc"),
        "retrieval": (*_INTERNAL, "retrieval", "heads", "internal_grpc"),
        "generation": (*_INTERNAL, "generation", "internal_grpc"),
        "cache": (*_INTERNAL, "cache", "internal_grpc"),
        # One process a SQLite file: the indexer works on the same catalog and event log.
        "indexing": (
            *_INTERNAL,
            "parsers",
            "events",
            "catalog",
            "indexing",
            "indexer",
            "internal_grpc",
        ),
        "indexer": (*_INTERNAL, "parsers", "events", "catalog", "indexer"),
    }
)
"""The modules of each target, needs first; what a target needs and does not run is dialled."""
_WORKER = frozenset({"parsers", "indexer"})


def modules_of(settings: Settings) -> tuple[str, ...]:
    """The modules of the target that these settings name."""
    names = TARGETS[settings.target]
    if settings.target == "all" and settings.internal_grpc is not None:  # the operator calls it
        return ("telemetry", "tls", "identity", *names[2:], "internal_grpc")
    if settings.target == "indexing" and settings.has_shared_work:  # the target indexer's then
        return tuple(name for name in names if name not in _WORKER)
    return names
