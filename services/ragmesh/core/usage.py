"""What was used, who saw what, and what was done, as it crosses ports; never content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from ragmesh.core.answers import Usage
from ragmesh.core.errors import InvalidError
from ragmesh.core.search import Timings
from ragmesh.core.tenants import Budget

MOST_RECORDS = 1_000
"""Most records of one request."""
Details = tuple[tuple[str, str], ...]
"""(name, value) in order of name: numbers, names of what changed, groups of an access."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Who did something, how and when; a part of every record."""

    record_id: str
    """The same each time the record is sent again."""
    at: datetime
    """When the call ended."""
    tenant_uid: str
    subject: str
    key_id: str
    """Of the key that was used; empty without one."""
    method: str
    request_id: str


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """What one call used."""

    call: Circumstances
    collection_uid: str = ""
    """Empty for a call without one, or where the collection was not found."""
    model: str = ""
    """Empty for a call without one."""
    usage: Usage = field(default_factory=Usage)
    cached: bool = False
    error: str = ""
    """Reason of the error that it ended in."""
    timings_ms: Timings = ()
    duration_ms: float = 0.0
    documents: int = 0
    """Taken in."""


@dataclass(frozen=True, slots=True)
class SeenDocument:
    """Passages of one document that were shown."""

    document_uid: str
    chunk_ids: tuple[str, ...] = ()
    """None where an answer was made from the document and quotes none of it, or all was shown."""


@dataclass(frozen=True, slots=True)
class SightRecord:
    """What one call showed to its caller."""

    call: Circumstances
    collection_uid: str
    documents: tuple[SeenDocument, ...]


@dataclass(frozen=True, slots=True)
class RefusalRecord:
    """What somebody was not allowed to do, some time after the first attempt."""

    call: Circumstances
    refusal: str
    """Reason of the refusal."""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class UsageBatch:
    """Records on their way to where they are kept."""

    usage: tuple[UsageRecord, ...] = ()
    sights: tuple[SightRecord, ...] = ()
    refusals: tuple[RefusalRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.usage) + len(self.sights) + len(self.refusals)

    @classmethod
    def of(cls, records: Sequence[UsageRecord | SightRecord | RefusalRecord]) -> UsageBatch:
        """The records by what they are about."""
        return cls(
            tuple(one for one in records if isinstance(one, UsageRecord)),
            tuple(one for one in records if isinstance(one, SightRecord)),
            tuple(one for one in records if isinstance(one, RefusalRecord)),
        )


Record = UsageRecord | SightRecord | RefusalRecord


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant has spent, of what it may."""

    tenant_uid: str
    month_dollars: float
    """Since the begin of this month (UTC)."""
    budget: Budget = field(default_factory=Budget)
    """Its own; without a limit if it has none."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch."""

    recorded: int
    duplicates: int
    spent: tuple[Spent, ...]
    """Every tenant with a budget or a model's usage in this month, all records counted."""


class UsagePeriod(Enum):
    """How long the periods are that usage is summed up by."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """What one tenant used of one model in one period."""

    tenant: str
    since: datetime
    until: datetime
    model: str
    requests: int = 0
    cached_requests: int = 0
    failed_requests: int = 0
    documents: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_dollars: float = 0.0
    duration_seconds: float = 0.0

    def plus(self, other: UsageSummary) -> UsageSummary:
        """What both used together."""
        return replace(
            self,
            requests=self.requests + other.requests,
            cached_requests=self.cached_requests + other.cached_requests,
            failed_requests=self.failed_requests + other.failed_requests,
            documents=self.documents + other.documents,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_dollars=self.cost_dollars + other.cost_dollars,
            duration_seconds=self.duration_seconds + other.duration_seconds,
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """A time from `since` until before `until`; None = without that end."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidError.of("until", "must be after since")


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which sums are asked for."""

    tenant: str = ""
    """Name; empty for every tenant that the caller may ask about."""
    interval: Interval = Interval()
    period: UsagePeriod | None = None
    """None: one sum of all."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did or was not allowed to do."""

    entry_id: str
    at: datetime
    tenant: str
    actor: str
    """Subject of a user, or name of a machine."""
    key_id: str
    action: str
    resource: str
    """A path of names."""
    details: Details = ()
    refusal: str = ""
    """Reason of the refusal; empty for what was done."""
    reason: str = ""
    """Why, where the request says so."""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are asked for; what is empty asks for any."""

    tenant: str = ""
    interval: Interval = Interval()
    actor: str = ""
    action: str = ""
    resource: str = ""
    """The path itself and everything below it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Passages of one document that one call showed to somebody."""

    at: datetime
    tenant: str
    actor: str
    key_id: str
    action: str
    collection: str
    """Name; empty once it is gone."""
    document_id: str
    """Empty once it is gone."""
    document_uid: str
    chunk_ids: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class SightQuery:
    """Which sights are asked for; what is empty asks for any."""

    tenant: str = ""
    interval: Interval = Interval()
    actor: str = ""
    collection: str = ""
    document_id: str = ""

    def __post_init__(self) -> None:
        if self.document_id and not self.collection:
            raise InvalidError.of("document_id", "needs the collection that it is in")
