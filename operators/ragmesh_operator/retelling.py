"""Remembers what a mesh made of what it was told, so that it is not told so at every look.

While indexing is renewed, a process of the former release may take what one of the next one
answers for: it keeps of it what it knows, of a policy or of who keeps a tenant. To tell it at every
look would be a write, an entry of the audit log and an event each time, and change nothing before
that process is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ragmesh_operator.values import Key, Resource

FoundT = TypeVar("FoundT")

FIRST_SECONDS = 30.0
"""What somebody changed is put right within a minute: after this, and the pace of looks."""
MOST_SECONDS = 600.0
"""A rollout of indexing may be held for hours beside hundreds of collections."""


@dataclass(frozen=True, slots=True)
class _Told(Generic[FoundT]):
    uid: str
    generation: int
    found: FoundT | None
    """What the mesh had when it was told."""
    at: float
    seconds: float
    """For how long that is left to it."""

    def is_of(self, wanted: Resource[Any, Any]) -> bool:
        return (self.uid, self.generation) == (wanted.uid, wanted.generation)


@dataclass(slots=True)
class Retelling(Generic[FoundT]):
    """What meshes were told of each resource last; lost with the process, and told once more."""

    _told: dict[Key, _Told[FoundT]] = field(default_factory=dict)

    def left(self, wanted: Resource[Any, Any], now: float) -> FoundT | None:
        """What the mesh may have for now although it was told another; None = nothing."""
        told = self._told.get(wanted.key)
        is_recent = told is not None and told.is_of(wanted) and now < told.at + told.seconds
        return told.found if told is not None and is_recent else None

    def told(self, wanted: Resource[Any, Any], found: FoundT | None, now: float) -> None:
        """The mesh was told what the resource says, and had this before."""
        last, seconds = self._told.get(wanted.key), FIRST_SECONDS
        if last is not None and last.is_of(wanted) and last.found == found:
            seconds = min(2 * last.seconds, MOST_SECONDS)
        self._told[wanted.key] = _Told(wanted.uid, wanted.generation, found, now, seconds)

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        self._told.pop(key, None)
