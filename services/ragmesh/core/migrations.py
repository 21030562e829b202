"""Changes of a collection's index, as they cross ports: what is asked for, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import pairwise

from ragmesh.core.callers import Requester
from ragmesh.core.documents import Chunking
from ragmesh.core.errors import InvalidError
from ragmesh.core.quality import Quality


class MigrationPhase(Enum):
    """Where a migration stands."""

    IDLE = "idle"
    PROVISIONING = "provisioning"
    BACKFILLING = "backfilling"
    VERIFYING = "verifying"
    EVALUATING = "evaluating"
    AWAITING_APPROVAL = "awaiting_approval"
    CANARY = "canary"
    PROMOTING = "promoting"
    SOAKING = "soaking"
    ROLLING_BACK = "rolling_back"
    FAILED = "failed"
    ABORTED = "aborted"

    @property
    def rests(self) -> bool:
        """Whether nothing is being moved to another index version."""
        return self in {MigrationPhase.IDLE, MigrationPhase.FAILED, MigrationPhase.ABORTED}


class MigrationCommand(Enum):
    """What somebody tells a migration to do."""

    APPROVE = "approve"
    PROMOTE = "promote"
    HOLD = "hold"
    RESUME = "resume"
    ABORT = "abort"
    ROLLBACK = "rollback"
    REFRESH = "refresh"


class GateVerdict(Enum):
    """What comparing a candidate with the serving version says."""

    PASS = "pass"  # noqa: S105 - a verdict
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


class Approval(Enum):
    """Who lets a candidate that passed answer questions."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class OnFailure(Enum):
    """What becomes of a candidate that turns out bad once it answers questions."""

    ROLLBACK = "rollback"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class CanaryStep:
    """A share of the questions, and for how long the candidate gets it."""

    weight: int
    hold_seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 100:
            raise InvalidError.of("canary", "weights lie between 1 and 100")
        if self.hold_seconds < 0:
            raise InvalidError.of("canary", "a step is held for 0 seconds or more")


def parse_canary(texts: Sequence[str]) -> tuple[CanaryStep, ...]:
    """Steps written as `WEIGHT:SECONDS`, such as `10:300`."""
    steps = []
    for text in texts:
        weight, _, seconds = text.partition(":")
        try:
            steps.append(CanaryStep(int(weight), float(seconds)))
        except ValueError:
            raise InvalidError.of(
                "canary", f"must be steps such as 10:300 (percent:seconds), not {text[:40]!r}"
            ) from None
    return tuple(steps)


RANKING_METRICS = ("recall", "ndcg", "mrr")
"""By which a gate judges a candidate: searches, and no answers."""


@dataclass(frozen=True, slots=True)
class MetricBound:
    """How much worse one metric of the golden questions may become."""

    metric: str
    max_regression: float

    def __post_init__(self) -> None:
        if self.metric not in RANKING_METRICS:
            known = ", ".join(RANKING_METRICS)
            raise InvalidError.of("max_regressions", f"{self.metric[:40]!r} is none of {known}")
        if not 0 <= self.max_regression <= 1:
            raise InvalidError.of("max_regressions", f"that of {self.metric} must lie in [0, 1]")


@dataclass(frozen=True, slots=True)
class MigrationPolicy:
    """How carefully an index is changed."""

    canary: tuple[CanaryStep, ...] = (CanaryStep(10, 300.0), CanaryStep(50, 300.0))
    """Strictly increasing weights; after the last step every question goes to the candidate."""
    approval: Approval = Approval.AUTOMATIC
    soak_seconds: float = 3_600.0
    """How long the old version is still written after the promotion, for a rollback."""
    retain_seconds: float = 0.0
    """How much longer it is, once the migration has ended."""
    on_failure: OnFailure = OnFailure.ROLLBACK
    max_regression: float = 0.02
    """How much worse a metric of the golden questions may become that has no bound of its own."""
    max_regressions: tuple[MetricBound, ...] = ()
    """Bounds of single metrics, each at most once."""
    min_questions: int = 20
    """Fewer golden questions decide nothing."""

    def __post_init__(self) -> None:
        weights = [step.weight for step in self.canary]
        if any(later <= earlier for earlier, later in pairwise(weights)):
            raise InvalidError.of("canary", "weights must grow from step to step")
        if self.soak_seconds < 0 or self.retain_seconds < 0:
            raise InvalidError.of("soak", "must be 0 seconds or more")
        if not 0 <= self.max_regression <= 1:
            raise InvalidError.of("max_regression", "must lie in [0, 1]")
        named = [one.metric for one in self.max_regressions]
        if len(set(named)) < len(named):
            raise InvalidError.of("max_regressions", "names a metric twice")
        if self.min_questions < 1:
            raise InvalidError.of("min_questions", "must be at least 1")

    @property
    def strictest_regression(self) -> float:
        """The smallest of all bounds: what whoever knows of one alone judges every metric by."""
        return min((self.max_regression, *(one.max_regression for one in self.max_regressions)))


DEFAULT_POLICY = MigrationPolicy()


@dataclass(frozen=True, slots=True)
class IndexChange:
    """What of a collection's index is to be otherwise; None leaves a setting as it is."""

    encoder: str | None = None
    chunking: Chunking | None = None
    language: str | None = None
    policy: MigrationPolicy | None = None
    """None = as it was said last, else the mesh's own."""
    requester: Requester | None = None
    """The custom resource that asks; None when a person does."""


@dataclass(frozen=True, slots=True)
class RouteShare:
    """The share of a collection's questions that one index version gets, in per cent."""

    index_version_uid: str
    index_version: str
    """Display name."""
    weight: int
    encoder: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class CollectionRoute:
    """How the questions of one collection are shared between its index versions."""

    tenant_uid: str
    collection_uid: str
    collection: str
    shares: tuple[RouteShare, ...]
    """The primary first."""
    epoch: int
    """Only grows; an older route is refused."""


@dataclass(frozen=True, slots=True)
class RouteBatch:
    """Routes that changed; without any it is a heartbeat."""

    routes: tuple[CollectionRoute, ...] = ()
    deleted_collection_uids: tuple[str, ...] = ()
    caught_up: bool = False
    """Whether the follower now knows every route."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Who stopped a migration, and why."""

    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class MetricVerdict:
    """One comparison of candidate and serving version."""

    metric: str
    serving: float
    candidate: float
    difference_low: float
    difference_high: float
    questions: int
    verdict: GateVerdict
    slice: str = ""
    """Of the golden questions; empty = all of them."""


@dataclass(frozen=True, slots=True)
class Migration:
    """The migration of a collection, as the doors show it."""

    collection: str
    phase: MigrationPhase
    serving: str
    """Display name of the index version whose jobs are reported."""
    candidate: str
    """Display name; empty without one."""
    retained: str
    """Display name of the version that a rollback would serve from; empty without one."""
    route_epoch: int
    shares: tuple[RouteShare, ...]
    percent: int
    documents: int = 0
    """Documents that the candidate, or the retained version, must hold."""
    failed_documents: int = 0
    """Of them those that it refuses."""
    reason: str = ""
    """Stable reason for the phase, in UPPER_SNAKE."""
    message: str = ""
    """The same as a sentence."""
    held: Hold | None = None
    verdicts: tuple[MetricVerdict, ...] = ()
    """Over all golden questions."""
    slice_verdicts: tuple[MetricVerdict, ...] = ()
    """Over those slices of them that did not pass."""
    verdict: GateVerdict | None = None
    """Of the gate as a whole; None before it judged."""
    flips: int = 0
    """How often the serving version of the collection has changed."""
    started_at: datetime | None = None
    phase_at: datetime | None = None
    encoder: str = ""
    """What the index is wanted to be."""
    chunking: Chunking = field(default_factory=Chunking)
    language: str = ""
    quality: Quality | None = None
    """Of the serving version, as it was asked last; None = it was not asked on schedule yet."""
    kept_by: str | None = None
    """Uid of the custom resource that keeps the collection; empty = none does, None = who told of
    the migration is too old to say."""
    policy: MigrationPolicy | None = None
    """How carefully the index is changed; None = who told of the migration is too old to say."""


@dataclass(frozen=True, slots=True)
class GoldenQuestions:
    """Golden questions that a collection keeps."""

    content: str
    """JSON lines, as they were given."""
    digest: str
    """SHA-256 of the content."""
    questions: int
    changed_at: datetime


FOR_MIGRATION, ON_SCHEDULE = "migration", "schedule"
"""Occasions of evaluations."""


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """An evaluation that was made with them, with everything that it found."""

    evaluation_id: str
    """Later ones are greater."""
    occasion: str
    """What it was made for: FOR_MIGRATION or ON_SCHEDULE."""
    serving: str
    """Display name of the version that served."""
    candidate: str
    """Of the version that was judged: on schedule that which serves."""
    golden_digest: str
    verdict: str
    content: str
    """JSON: the scores of both by question, and the sentence that sums them up."""
    at: datetime


@dataclass(frozen=True, slots=True)
class IndexEstimate:
    """What changing an index would build, and what that takes."""

    index_version: str
    """Display name of the version that would be made; empty when nothing would be."""
    encoder: str
    chunking: Chunking
    language: str
    documents: int
    chunks: int
    """As many as the serving version has; another chunking makes another number."""
    vector_bytes: int
    """Of vectors of chunks and sentences, about."""
    seconds: float
    """At the least, by the rate at which a candidate is filled."""
    reason: str = ""
    """Why nothing would be built, in UPPER_SNAKE; empty when something would be."""
    tokens: int | None = None
    """That would be embedded, about: by a sample of the chunks of the serving version, as its
    encoder counts them. None when nothing would be built, or the chunks cannot be read now."""
    dollars: float | None = None
    """What embedding them costs, about; None = no price of the encoder is known."""
