"""The catalog as changing an index sees it; every method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ragmesh.core.callers import Caller
from ragmesh.core.documents import Failure
from ragmesh.core.index import Head
from ragmesh.core.migrations import (
    EvaluationRecord,
    GoldenQuestions,
    RouteBatch,
)
from ragmesh.core.quality import Quality
from ragmesh.indexing.deeds import Deed
from ragmesh.indexing.migration_state import (
    Change,
    FollowerProgress,
    MigrationState,
    Role,
)
from ragmesh.indexing.records import IndexVersion, Publication, Work
from ragmesh.indexing.rows import Outcome


@dataclass(frozen=True, slots=True)
class WeighedVersion:
    """An index version and its share of the questions."""

    version: IndexVersion
    weight: int
    weightless_since: datetime | None
    """None = it has a share, or never had one."""


@dataclass(frozen=True, slots=True)
class Changing:
    """A live collection, how its index is being changed, and between which versions."""

    collection_uid: str
    tenant_uid: str
    collection: str
    state: MigrationState
    versions: tuple[WeighedVersion, ...]
    epoch: int
    is_refused: bool
    """Whether what is wanted was refused before."""
    next_number: int
    """Of the index version that would be made next."""

    @property
    def primary(self) -> IndexVersion:
        """The version that uploads are written to."""
        (found,) = [one.version for one in self.versions if one.version.role is Role.PRIMARY]
        return found

    def version(self, uid: str) -> IndexVersion:
        """One of its versions."""
        return next(one.version for one in self.versions if one.version.uid == uid)


@dataclass(frozen=True, slots=True)
class Cause:
    """Who makes a change, and what the audit says about it; a step of a plan has its own."""

    caller: Caller
    deed: Deed
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RouteChanges:
    """Routes that changed after a place in the sequence of changes, and the place it reaches to."""

    batch: RouteBatch
    sequence: int


class MigrationStore(Protocol):
    """Where every migration stands, and routes."""

    async def find_changing(self, collection_uid: str) -> Changing | None:
        """The live collection's; at rest, and wanting what it has, when nobody wanted otherwise."""

    async def list_unsettled(self, *, after_uid: str, limit: int) -> tuple[str, ...]:
        """Uids of live collections whose migration has something to do, or to wait for."""

    async def list_changing(
        self, tenant_uid: str | None, *, after_uid: str, limit: int
    ) -> tuple[Changing, ...]:
        """Those of collections whose index somebody wanted otherwise, in order of their uids."""

    async def commit_change(self, change: Change, cause: Cause | None = None) -> bool:
        """Make the change as a whole; False when the state is another by now, or it lags."""

    async def want(self, state: MigrationState, cause: Cause) -> bool:
        """Keep what is wanted of an index; False when the state is another by now."""

    async def settle_migration(self, state: MigrationState) -> None:
        """Nothing is to be done or waited for until somebody changes something."""

    async def is_refused(self, collection_uid: str, digest: str) -> bool:
        """Whether a spec was refused or rolled back before."""

    async def routes_after(self, sequence: int, *, limit: int) -> RouteChanges:
        """Routes that changed after the sequence, in its order; ends of collections with them."""


class FollowerStore(Protocol):
    """Versions that follow the primary."""

    async def follower_progress(self, collection_uid: str) -> dict[str, FollowerProgress]:
        """How far each is behind, by uid."""

    async def feed_follower(
        self, index_version_uid: str, *, after: str, limit: int, window: int
    ) -> tuple[int, str]:
        """Hand the next lagging documents out; how many, and where to go on from."""

    async def settle_follower(self, work: Work) -> None:
        """There is nothing more to be done of it."""

    async def fail_follower(
        self, work: Work, failure: Failure, *, most_attempts: int | None
    ) -> None:
        """Keep why the version does not hold the document, and whether it is tried again."""

    async def publish_follower(self, publication: Publication) -> tuple[Head, Outcome]:
        """Move the head of a version that follows, or SupersededError; no job ends."""


class EvaluationStore(Protocol):
    """Golden questions that collections keep, and what asking them found."""

    async def keep_golden(self, collection_uid: str, golden: GoldenQuestions, cause: Cause) -> None:
        """Keep these instead of any others."""

    async def find_golden(self, collection_uid: str) -> GoldenQuestions | None:
        """What the collection keeps."""

    async def record_evaluation(self, collection_uid: str, record: EvaluationRecord) -> None:
        """Keep what was found."""

    async def list_unexamined(
        self, since: datetime, *, after_uid: str, limit: int
    ) -> tuple[str, ...]:
        """Uids of live collections that keep golden questions, and whose serving version was not
        asked just these on schedule after the moment; in order."""

    async def record_quality(
        self, collection_uid: str, record: EvaluationRecord, quality: Quality
    ) -> None:
        """Keep what was found on schedule; of the past the newest, and what is compared with."""

    async def find_quality(self, collection_uid: str, index_version: str) -> Quality | None:
        """What was found last on schedule of a version, by its display name."""

    async def find_reference(
        self, collection_uid: str, index_version: str, golden_digest: str
    ) -> EvaluationRecord | None:
        """What an evaluation of the version by these questions is to be compared with: the last one
        by which it was found good that was the first of them, or better than those before."""

    async def list_evaluations(
        self, collection_uid: str, *, before_id: str, limit: int
    ) -> tuple[EvaluationRecord, ...]:
        """What was found, the newest first."""
