"""The custom resources, written once: what is parsed here is what the API server checks.

`schemas.py` makes the definitions that a cluster is given out of these classes, and
`docs/reference/resources.md` comes from them, too. A default stands in the definition, so that
the API server writes it into the resource and everybody reads the same.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

GROUP = "ragmesh.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = f"{GROUP}/collection"
"""Only under `deletionPolicy: Delete`."""
COMMAND_ANNOTATION = f"{GROUP}/migration"
BY_ANNOTATION = f"{GROUP}/migration-by"
REASON_ANNOTATION = f"{GROUP}/migration-reason"

_DURATION = r"^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,5}s)?$"
_PARTS = re.compile(r"([0-9]+)([hms])")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
NAME = r"^[a-z][a-z0-9-]{0,62}$"


class Rule(NamedTuple):
    """A condition that a schema cannot say, in CEL."""

    rule: str
    message: str


class Part(BaseModel):
    """A part of a resource: camelCase outside, closed, frozen."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )
    rules: ClassVar[tuple[Rule, ...]] = ()


Duration = Annotated[str, Field(pattern=_DURATION, max_length=16)]
"""Such as 90s, 10m or 1h30m; empty is nothing."""
Share = Annotated[float, Field(ge=0, le=1)]


def seconds_of(duration: str) -> float:
    """How long a duration is."""
    return float(sum(int(count) * _SECONDS[unit] for count, unit in _PARTS.findall(duration)))


class Chunking(Part):
    """How documents are split."""

    rules = (
        Rule(
            "!has(self.maxTokens) || self.overlapTokens < self.maxTokens",
            "overlapTokens must be smaller than maxTokens",
        ),
    )

    strategy: Literal["Structure"] = Field(
        "Structure", description="Along headings, paragraphs and sentences, as far as they fit."
    )
    max_tokens: int | None = Field(
        None,
        ge=16,
        le=8192,
        description="Most tokens of a chunk; without it as many as the encoder reads.",
    )
    overlap_tokens: int = Field(
        0, ge=0, le=4096, description="Tokens that a chunk repeats of the one before."
    )


class Index(Part):
    """How vectors and words are compared."""

    metric: Literal["Cosine"] = Field("Cosine", description="Distance between vectors.")
    keyword: Literal["BM25"] = Field("BM25", description="Ranking by words.")


class Sortable(Part):
    """A metadata field on which ranges work."""

    field: str = Field(min_length=1, max_length=64, description="Name of the field.")
    kind: Literal["number", "datetime"] = Field(description="What it holds.")


class CanaryStep(Part):
    """A share of the questions, and for how long the candidate gets it."""

    weight: int = Field(ge=1, le=100, description="Share of the questions in per cent.")
    hold: Duration = Field("0s", description="For how long, such as 5m.")


class Canary(Part):
    """How questions move to a candidate."""

    rules = (
        Rule(
            "self.steps.map(s, s.weight).isSorted() && "
            "self.steps.all(s, self.steps.exists_one(t, t.weight == s.weight))",
            "weights must grow from step to step",
        ),
        Rule(
            "self.steps.size() == 0 || self.steps[self.steps.size() - 1].weight == 100",
            "the last step must have weight 100",
        ),
    )

    steps: tuple[CanaryStep, ...] = Field(
        (
            CanaryStep(weight=10, hold="5m"),
            CanaryStep(weight=50, hold="5m"),
            CanaryStep(weight=100),
        ),
        max_length=10,
        description="Strictly increasing weights, the last 100; empty for all at once.",
    )


class Migration(Part):
    """How carefully an index is changed."""

    canary: Canary = Field(Canary(), description="How questions move to the candidate.")
    approval: Literal["Automatic", "Manual"] = Field(
        "Automatic", description="Whether somebody must approve a candidate that passed."
    )
    soak: Duration = Field(
        "1h", description="For how long one can go back after the promotion, losing nothing."
    )
    retain: Duration = Field("0s", description="How much longer, once the migration has ended.")
    on_failure: Literal["Rollback", "Hold"] = Field(
        "Rollback",
        description="What becomes of a candidate that fails while it answers questions.",
    )


class ConfigMapRef(Part):
    """A key of a ConfigMap in the namespace of the resource."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap.")
    key: str = Field(
        "golden.jsonl", min_length=1, max_length=253, description="Key that holds the questions."
    )


class GoldenQueries(Part):
    """Questions whose answers are known."""

    config_map_ref: ConfigMapRef = Field(description="Where they are, as JSON lines.")


class Metric(Part):
    """What a metric may be."""

    name: Literal["recall", "ndcg", "mrr"] = Field(description="Name of the metric.")
    floor: Share | None = Field(
        None, description="Below it the condition QualityOK is False, whatever the gate says."
    )
    max_regression: Share | None = Field(
        None,
        description="How much of it a candidate may lose; 0.02 where nothing is said.",
    )


class Evaluation(Part):
    """By what a candidate is judged before it answers anything."""

    rules = (
        Rule(
            "self.metrics.all(one, self.metrics.exists_one(other, other.name == one.name))",
            "a metric must not be named twice",
        ),
    )

    golden_queries: GoldenQueries | None = Field(
        None, description="Golden questions that the collection keeps; without them, those it has."
    )
    metrics: tuple[Metric, ...] = Field((), max_length=3, description="Floors and regressions.")
    min_queries: int = Field(
        20, ge=1, le=100000, description="Fewer questions decide nothing, and hold the migration."
    )

    @field_validator("metrics")
    @classmethod
    def _refuse_second_bounds(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        """Definitions of an older version took them, and a cluster keeps what it has taken."""
        bound = [one.name for one in metrics if one.max_regression is not None]
        for name in bound:
            if bound.count(name) > 1:
                sentence = "two bounds of {name}; leave one"
                raise PydanticCustomError("bounds", sentence, {"name": name})
        return metrics


class Workers(Part):
    """How many indexers run."""

    rules = (Rule("self.min <= self.max", "min must not be above max"),)

    min: int = Field(1, ge=1, le=1000, description="Fewest.")
    max: int = Field(4, ge=1, le=1000, description="Most; never more than the topic's partitions.")
    target_lag_seconds: int = Field(
        60, ge=5, le=86400, description="In how many seconds what waits should be done."
    )


class ScaleDown(Part):
    """How indexers are taken away."""

    stabilization_seconds: int = Field(
        600, ge=0, le=86400, description="For how long fewer must have been enough."
    )
    step: int = Field(1, ge=1, le=1000, description="How many go at a time.")


class Autoscaling(Part):
    """How indexers follow what waits. The workload is shared: the largest wish counts."""

    provider: Literal["auto", "keda", "native", "none"] = Field(
        "none",
        description="keda makes a ScaledObject, native patches the scale; auto is keda where the "
        "cluster has it.",
    )
    workers: Workers = Field(Workers(), description="How many indexers run.")
    scale_down: ScaleDown = Field(ScaleDown(), description="How indexers are taken away.")


class CollectionSpec(Part):
    """What a collection should be."""

    rules = (
        Rule("self.tenant == oldSelf.tenant", "tenant cannot be changed"),
        Rule("self.sortable == oldSelf.sortable", "sortable cannot be changed"),
    )

    tenant: str = Field(
        "default", pattern=NAME, max_length=63, description="Name of the tenant that owns it."
    )
    language: str | None = Field(
        None,
        pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$",
        max_length=32,
        description="Language of the keyword analysis; without it the encoder's first.",
    )
    encoder: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Name of a configured encoder; without it the mesh's default.",
    )
    chunking: Chunking = Field(Chunking(), description="How documents are split.")
    index: Index = Field(Index(), description="How vectors and words are compared.")
    default_access: Literal["open", "restricted"] = Field(
        "open", description="Who sees documents that have no access of their own."
    )
    sortable: tuple[Sortable, ...] = Field(
        (), max_length=16, description="Metadata fields on which ranges work."
    )
    migration: Migration = Field(Migration(), description="How carefully the index is changed.")
    evaluation: Evaluation = Field(
        Evaluation(), description="By what a candidate is judged before it answers."
    )
    autoscaling: Autoscaling = Field(Autoscaling(), description="How indexers follow what waits.")
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain", description="What becomes of the documents when the resource is deleted."
    )
    paused: bool = Field(
        False,
        description="Have the operator write nothing for it: not to the mesh (no change, no golden "
        "questions, no command, no correction of what somebody changed there), nor to this "
        "resource, whose status stays as it was told last; one that is new is told once to be "
        "Paused. It asks for no indexers. It is no hold: a migration that is under way goes on in "
        "the mesh, and the collection stays kept. What was changed or commanded meanwhile is "
        "carried out once it is false. A resource that is deleted while it is true lets its "
        "collection go with all documents, whatever deletionPolicy says.",
    )


class Quota(Part):
    """What a tenant may use; 0 is no limit of its own."""

    requests_per_minute: int = Field(0, ge=0, le=2**31 - 1, description="Requests in a minute.")
    in_flight: int = Field(0, ge=0, le=2**31 - 1, description="Requests at the same time.")
    documents: int = Field(0, ge=0, le=2**53, description="Documents that are not deleted.")
    storage_bytes: int = Field(0, ge=0, le=2**53, description="Bytes of all kept revisions.")


class Budget(Part):
    """What a tenant may spend in a calendar month (UTC); 0 is no limit."""

    monthly_dollars: float = Field(0.0, ge=0, le=1e9, description="US dollars.")
    on_exceeded: Literal["Refuse", "Degrade"] = Field(
        "Refuse", description="Degrade lets an engine without a price answer."
    )


class Retention(Part):
    """For how long records are kept."""

    days: int = Field(0, ge=0, le=36500, description="Of usage and audit; 0 is the mesh's own.")


class TenantSpec(Part):
    """What a tenant may do."""

    display_name: str = Field("", max_length=200, description="Its name for people.")
    quota: Quota = Field(Quota(), description="What it may use.")
    budget: Budget = Field(Budget(), description="What it may spend.")
    retention: Retention = Field(Retention(), description="For how long records are kept.")
    paused: bool = Field(
        False,
        description="Have the operator write nothing for it: not to the mesh, where the tenant "
        "stays kept, nor to this resource, whose status stays as it was told last. What was "
        "changed meanwhile is carried out once it is false.",
    )
