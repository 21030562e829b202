"""What the operator writes into custom resources: what it found, and nothing that is wanted."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from ragmesh_operator.resources import Part


class Lenient(Part):
    """A part of a status, which a newer operator may have written."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class Condition(Lenient):
    """One aspect of a resource, as Kubernetes has it."""

    type: str = Field(max_length=316, description="Which aspect.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(max_length=1024, description="Why, in CamelCase.")
    message: str = Field("", max_length=32768, description="Why, in a sentence.")
    last_transition_time: datetime = Field(description="When the status last changed.")
    observed_generation: int = Field(0, ge=0, description="Generation that was looked at.")


class Weight(Lenient):
    """The share of an index version."""

    version: str = Field(description="Name of the index version.")
    weight: int = Field(description="Share of the questions in per cent.")


class Order(Lenient):
    """A command to the migration that was taken from the annotation."""

    id: str = Field(description="Makes the command one, however often it is sent.")
    command: str = Field(description="What to do.")
    by: str = Field("", description="Who says so.")
    reason: str = Field("", description="Why.")
    outcome: Literal["Sending", "Done", "Refused"] = Field(description="What became of it.")
    message: str = Field("", description="Why it was refused.")


class MigrationStatus(Lenient):
    """Where a migration stands."""

    phase: str = Field("Idle", description="Phase.")
    step: str = Field("", description="How much of the phase is done.")
    started_at: datetime | None = Field(None, description="When it began.")
    reason: str = Field("", description="Why it stands there, in CamelCase.")
    message: str = Field("", description="Why it stands there, in a sentence.")
    command: Order | None = Field(None, description="The last command.")


class Documents(Lenient):
    """How many documents there are."""

    accepted: int = Field(0, description="Documents of the collection.")
    indexed: int = Field(0, description="Of them those that can be found.")
    failed: int = Field(0, description="Of them those whose newest revision failed.")


class Ingestion(Lenient):
    """What waits."""

    backlog: int = Field(0, description="Documents that wait or are worked on.")
    freshness_seconds: int = Field(0, description="How long the oldest of them has waited.")
    dead_letters: int = Field(0, description="Documents that were given up.")


class Quality(Lenient):
    """One metric of the version that serves, beside a candidate or beside itself in the past."""

    metric: str = Field(description="Name of the metric.")
    slice: str | None = Field(
        None,
        description="Slice of the golden questions over which the metric did not pass; unset for "
        "all of them.",
    )
    active: float = Field(description="Of the version that serves, as it was asked last.")
    candidate: float | None = Field(None, description="Of the candidate, if there is one.")
    before: float | None = Field(
        None,
        description="Of the version that served before, once a candidate has taken its place; on "
        "schedule: of the version that serves, in the evaluation compared with.",
    )
    ci_low: float = Field(
        description="Lower end of the interval of the difference: of the candidate to the active "
        "version, or of that to what was before."
    )
    verdict: str = Field(
        description="pass, refused or inconclusive; on schedule that of all metrics together: "
        "first, kept, risen, fallen or inconclusive."
    )


class AutoscalingStatus(Lenient):
    """What scales the indexers."""

    provider: str = Field("none", description="What really scales.")
    desired: int = Field(0, description="How many indexers are wanted.")
    reason: str = Field("", description="Why.")


class CollectionStatus(Lenient):
    """What a collection is."""

    observed_generation: int = Field(0, description="Generation that was looked at.")
    applied_generation: int = Field(0, description="Generation that the mesh has taken.")
    conditions: tuple[Condition, ...] = Field((), max_length=16, description="Its aspects.")
    active_version: str = Field("", description="Index version that serves.")
    candidate_version: str = Field("", description="Index version that is being tried.")
    route_epoch: int = Field(0, description="Version of the route; it only grows.")
    weights: tuple[Weight, ...] = Field((), max_length=3, description="How questions are shared.")
    migration: MigrationStatus = Field(MigrationStatus(), description="Where a change stands.")
    documents: Documents = Field(Documents(), description="How many documents there are.")
    ingestion: Ingestion = Field(Ingestion(), description="What waits.")
    quality: tuple[Quality, ...] = Field(
        (), max_length=16, description="What asking the golden questions found last."
    )
    autoscaling: AutoscalingStatus = Field(
        AutoscalingStatus(), description="What scales the indexers."
    )
    replicas: int = Field(0, description="Indexers that run.")
    selector: str = Field("", description="Labels of the indexers.")


class TenantStatus(Lenient):
    """What a tenant is."""

    observed_generation: int = Field(0, description="Generation that was carried out.")
    conditions: tuple[Condition, ...] = Field((), max_length=16, description="Its aspects.")
    uid: str = Field("", description="Uid that no other tenant ever has.")
