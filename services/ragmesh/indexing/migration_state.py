"""What a migration is, as the catalog keeps it, and the one change that a step makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from hashlib import sha256
from types import MappingProxyType

from ragmesh.core.callers import Requester
from ragmesh.core.documents import Chunking
from ragmesh.core.migrations import (
    DEFAULT_POLICY,
    GateVerdict,
    Hold,
    MetricVerdict,
    MigrationPhase,
    MigrationPolicy,
)
from ragmesh.core.vectors import Fingerprint

SOUND = "SOUND"
"""What is found of a candidate that holds what it must."""
SPEC_CHANGED = "SPEC_CHANGED"
"""Another index is wanted than the one that was being built."""
NO_LEASE = float("inf")
_FEW_DOCUMENTS = 64
"""So many may be under way to a version that is close to its primary."""


class Role(Enum):
    """What an index version is to its collection."""

    PRIMARY = "primary"
    """Uploads are written to it and their jobs report it; exactly one."""
    CANDIDATE = "candidate"
    """Being filled, or trying itself on a share of the questions."""
    RETAINED = "retained"
    """The primary before; still written, so that a rollback loses nothing."""
    DISCARDED = "discarded"
    """Written no more; leaves the store once no router can know it."""

    @property
    def follows(self) -> bool:
        """Whether it is brought to what is published in the primary."""
        return self in {Role.CANDIDATE, Role.RETAINED}


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """What an index version is built with, everything decided."""

    encoder: str
    fingerprint: Fingerprint
    chunking: Chunking
    language: str

    @property
    def digest(self) -> str:
        """Equal specs have equal digests; two versions of one are still two versions."""
        parts = (
            self.encoder,
            self.fingerprint.digest,
            str(self.chunking.max_tokens),
            str(self.chunking.overlap_tokens),
            self.language,
        )
        return sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class MigrationState:
    """One row a collection; every step replaces it whole, and only if nobody did meanwhile."""

    collection_uid: str
    wanted: BuildSpec
    policy: MigrationPolicy = DEFAULT_POLICY
    phase: MigrationPhase = MigrationPhase.IDLE
    candidate_uid: str = ""
    retained_uid: str = ""
    approved: bool = False
    checked: str = ""
    """What verifying found in this phase: SOUND or a reason; empty = not looked yet."""
    verdict: GateVerdict | None = None
    verdicts: tuple[MetricVerdict, ...] = ()
    slice_verdicts: tuple[MetricVerdict, ...] = ()
    held: Hold | None = None
    reason: str = ""
    message: str = ""
    flips: int = 0
    started_at: datetime | None = None
    phase_at: datetime | None = None
    requester: Requester | None = None
    version: int = 0
    """Grows with every change; the fence of a step that was planned on an older one."""


def policy_of(state: MigrationState, default: MigrationPolicy) -> MigrationPolicy:
    """How carefully the index is changed; the default until somebody wanted it otherwise."""
    return state.policy if state.version else default


@dataclass(frozen=True, slots=True)
class Standing:
    """An index version as a plan sees it."""

    uid: str
    name: str
    digest: str
    """Of its build spec."""
    role: Role
    made: bool
    """Whether the index knows it."""
    weight: int = 0
    weightless_seconds: float = NO_LEASE
    """Since its weight became 0; no end when it never had one."""


@dataclass(frozen=True, slots=True)
class FollowerProgress:
    """How far an index version is behind the primary."""

    documents: int = 0
    """Documents that are published in the primary."""
    lagging: int = 0
    """Of them those that it does not hold as they are there."""
    failed: int = 0
    """Of the lagging ones those that it refuses for good."""
    removals: int = 0
    """Deleted documents whose chunks are still to be removed from it."""
    trouble: str = ""
    """Reason of the last failure that still stands."""
    old: int = 0
    """Of the lagging ones, those apart that it refuses, what it should have had long ago."""

    @property
    def percent(self) -> int:
        """Share that is done."""
        if self.documents == 0:
            return 100
        return int(100 * (self.documents - min(self.lagging, self.documents)) / self.documents)

    @property
    def caught_up(self) -> bool:
        """Whether it holds exactly what the primary shows."""
        return self.lagging == 0 and self.removals == 0

    @property
    def close(self) -> bool:
        """Whether it lacks only what was published just now: uploads that never stop are no lag."""
        waiting = self.lagging - self.failed
        return self.old == 0 and waiting <= _FEW_DOCUMENTS and self.removals <= _FEW_DOCUMENTS


NOTHING_DONE = FollowerProgress()


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a plan is made from."""

    state: MigrationState
    versions: tuple[Standing, ...]
    now: datetime
    progress: Mapping[str, FollowerProgress] = field(default_factory=dict)
    """By uid of the following version."""
    is_refused: bool = False
    """Whether what is wanted was refused or rolled back before."""
    lease_seconds: float = 600.0
    """How long a router may send questions by a route that it cannot renew."""

    def of_role(self, role: Role) -> tuple[Standing, ...]:
        """The versions of a role."""
        return tuple(one for one in self.versions if one.role is role)

    @property
    def primary(self) -> Standing:
        """The version that uploads are written to."""
        (found,) = self.of_role(Role.PRIMARY)
        return found

    @property
    def candidate(self) -> Standing | None:
        """The version that is being built."""
        return next(iter(self.of_role(Role.CANDIDATE)), None)

    @property
    def retained(self) -> Standing | None:
        """The version that a rollback would serve from."""
        return next(iter(self.of_role(Role.RETAINED)), None)

    @property
    def phase_seconds(self) -> float:
        """How long the phase, or the step of the canary, has lasted."""
        began = self.state.phase_at
        return 0.0 if began is None else (self.now - began).total_seconds()

    def progress_of(self, version: Standing) -> FollowerProgress:
        """How far a following version is."""
        return self.progress.get(version.uid, NOTHING_DONE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A spec that is not to be tried again by itself."""

    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction makes of a migration; nothing of it, or all."""

    state: MigrationState
    """The new state; its version is that of the state it replaces."""
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    """New roles by uid of index version."""
    weights: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The whole new route; empty leaves it as it is."""
    candidate: BuildSpec | None = None
    """A new index version to be made."""
    refusal: Refusal | None = None
    pardoned: str = ""
    """Digest of a spec that may be tried again."""
    only_if_caught_up: str = ""
    """Uid of a version that must hold exactly what the primary shows, or nothing happens."""
    hurry: str = ""
    """Uid of the new primary: what it lacks goes to the live lane."""
    dropped: str = ""
    """Uid of a version that the index forgets."""
