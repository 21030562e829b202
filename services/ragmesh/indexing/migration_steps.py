"""What a plan consists of: each step may be repeated after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ragmesh.core.migrations import MigrationPhase


@dataclass(frozen=True, slots=True)
class MakeCandidate:
    """Write down a new index version as it is wanted."""


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """Have the index know the version."""

    uid: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Hand out what the version lacks, as much as the rate allows."""

    uid: str


@dataclass(frozen=True, slots=True)
class Verify:
    """Compare what the version holds with what it must hold."""

    uid: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Ask both versions the golden questions."""

    uid: str


@dataclass(frozen=True, slots=True)
class Enter:
    """Go on to the phase."""

    phase: MigrationPhase
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Weigh:
    """Take this step of the canary."""

    step: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Flip: the candidate becomes the primary, if it holds exactly what the primary shows."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Flip back to the retained version."""

    at_once: bool
    """Whether it may lack documents, which are then brought in the live lane."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Give the candidate up and remember its spec."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give the candidate up because something else is wanted."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Hold until somebody says more."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Write the retained version no more."""

    uid: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Have the index forget the version."""

    uid: str


Step: TypeAlias = (
    MakeCandidate
    | CreateIndex
    | Feed
    | Verify
    | Evaluate
    | Enter
    | Weigh
    | Promote
    | RollBack
    | Refuse
    | Abandon
    | Stop
    | Retire
    | Drop
)
