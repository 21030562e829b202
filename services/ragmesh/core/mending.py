"""Work that was given up, and what comparing index and catalog finds, as they cross ports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ragmesh.core.documents import Failure


@dataclass(frozen=True, slots=True)
class Origin:
    """What was being handled when work was given up."""

    topic: str
    """Of the event."""
    consumer_group: str
    """Who gave up."""
    job_id: str = ""
    traceparent: str = ""
    """Trace of the last attempt, if it was traced."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up: of a document, or an event that came to no work at all."""

    dead_letter_id: str
    at: datetime
    """When it was given up, the last time."""
    collection: str
    """Name; empty for an event that names none."""
    document_id: str
    """Empty for an event that names no document."""
    revision: int
    """0 for an event that cannot be understood."""
    index_version: str
    """Display name; empty for an event that came to no work."""
    failure: Failure
    attempts: int
    origin: Origin
    replayed_at: datetime | None = None
    """When it was last asked to be tried again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of dead letters that were to be tried again."""

    replayed: int = 0
    superseded: int = 0
    """Dropped: something newer is wanted of their documents."""
    gone: int = 0
    """There are no such dead letters, or not any more."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What comparing a collection's index with its catalog found; all of it is being repaired."""

    compared: int = 0
    """Documents."""
    different: int = 0
