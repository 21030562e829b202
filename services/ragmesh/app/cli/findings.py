"""What a look at one thing has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ragmesh.core.errors import RagmeshError


class State(Enum):
    """How bad a finding is."""

    OK = "ok"
    FIXED = "fixed"
    """It was amiss, and is repaired or being repaired."""
    NOTE = "note"
    """Worth knowing; a mesh runs all the same."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: State
    message: str
    reason: str = ""
    count: int | None = None
    """How many things a repair found."""

    @classmethod
    def of(cls, subject: str, error: RagmeshError) -> Finding:
        """What an error means for the subject."""
        return cls(subject, State.FAILED, error.message, error.reason)
