"""Answers about migrations and golden questions."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from ragmesh.core.migrations import (
    EvaluationRecord,
    GateVerdict,
    GoldenQuestions,
    Hold,
    IndexEstimate,
    MetricVerdict,
    Migration,
    MigrationPhase,
    RouteShare,
)
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.replies import optional
from ragmesh.gateway.adapters.rest.shapes import COUNT, PERCENT, one_of, shown


class ShareReply(BaseModel):
    """The share of the questions that one index version gets."""

    index_version: str
    weight: int = Field(description="In percent.", json_schema_extra=PERCENT)

    @classmethod
    def of(cls, share: RouteShare) -> ShareReply:
        return cls(index_version=share.index_version, weight=share.weight)


class HoldReply(BaseModel):
    """Who stopped a migration, and why."""

    by: str
    reason: str
    since: datetime

    @classmethod
    def of(cls, hold: Hold) -> HoldReply:
        return cls(by=hold.by, reason=hold.reason, since=hold.since)


class MetricVerdictReply(BaseModel):
    """One comparison of the new index with the one that serves."""

    metric: str
    serving: float
    candidate: float
    difference_low: float = Field(description="Of the 95 % interval of the difference.")
    difference_high: float
    questions: int = Field(json_schema_extra=COUNT)
    verdict: str = Field(json_schema_extra=one_of(GateVerdict))
    slice: str = Field("", description="Of the golden questions; empty for all of them.")

    @classmethod
    def of(cls, found: MetricVerdict) -> MetricVerdictReply:
        return cls(
            metric=found.metric,
            serving=found.serving,
            candidate=found.candidate,
            difference_low=found.difference_low,
            difference_high=found.difference_high,
            questions=found.questions,
            verdict=found.verdict.value,
            slice=found.slice,
        )


class QualityMetricReply(BaseModel):
    """One metric now, and of the evaluation that it is compared with."""

    metric: str
    value: float
    before: float
    difference_low: float = Field(description="Of the 95 % interval of the difference.")
    difference_high: float
    questions: int = Field(json_schema_extra=COUNT)

    @classmethod
    def of(cls, found: QualityMetric) -> QualityMetricReply:
        return cls(
            metric=found.metric,
            value=found.value,
            before=found.before,
            difference_low=found.difference_low,
            difference_high=found.difference_high,
            questions=found.questions,
        )


class QualityReply(BaseModel):
    """What asking the golden questions on schedule found last."""

    index_version: str
    verdict: str = Field(json_schema_extra=one_of(QualityVerdict))
    at: datetime
    metrics: list[QualityMetricReply]
    message: str = Field(description="The rule that is not kept; empty when all are.")

    @classmethod
    def of(cls, found: Quality) -> QualityReply:
        return cls(
            index_version=found.index_version,
            verdict=found.verdict.value,
            at=found.at,
            metrics=[QualityMetricReply.of(one) for one in found.metrics],
            message=found.message,
        )


class MigrationReply(BaseModel):
    """Where the migration of a collection stands."""

    model_config = shown(examples.MIGRATION)

    collection: str
    phase: str = Field(json_schema_extra=one_of(MigrationPhase))
    serving: str = Field(description="Index version that uploads are written to.")
    candidate: str = Field(description="Index version that is being built; empty without one.")
    retained: str = Field(description="Index version that a rollback would serve from.")
    route_epoch: int = Field(json_schema_extra=COUNT)
    weights: list[ShareReply]
    percent: int = Field(json_schema_extra=PERCENT)
    documents: int = Field(json_schema_extra=COUNT)
    failed_documents: int = Field(json_schema_extra=COUNT)
    reason: str = Field(description="Stable reason for the phase; empty when it needs none.")
    message: str = Field(description="The same as a sentence.")
    held: HoldReply | None = optional("Who stopped it; missing while it goes on.")
    verdict: str | None = optional("What the gate says as a whole.")
    verdicts: list[MetricVerdictReply]
    slice_verdicts: list[MetricVerdictReply] = Field(
        [], description="Over those slices of the golden questions that did not pass."
    )
    flips: int = Field(json_schema_extra=COUNT)
    started_at: datetime | None = optional("When it began.")
    phase_at: datetime | None = optional("When the phase began.")
    encoder: str = Field(description="Encoder that is wanted.")
    language: str = Field(description="Language that is wanted.")
    quality: QualityReply | None = optional("Of the serving version, as it was asked last.")
    kept_by: str = Field(
        "", description="Uid of the custom resource that keeps the collection; empty for none."
    )

    @classmethod
    def of(cls, found: Migration) -> MigrationReply:
        return cls(
            collection=found.collection,
            phase=found.phase.value,
            serving=found.serving,
            candidate=found.candidate,
            retained=found.retained,
            route_epoch=found.route_epoch,
            weights=[ShareReply.of(share) for share in found.shares],
            percent=found.percent,
            documents=found.documents,
            failed_documents=found.failed_documents,
            reason=found.reason,
            message=found.message,
            held=None if found.held is None else HoldReply.of(found.held),
            verdict=None if found.verdict is None else found.verdict.value,
            verdicts=[MetricVerdictReply.of(one) for one in found.verdicts],
            slice_verdicts=[MetricVerdictReply.of(one) for one in found.slice_verdicts],
            flips=found.flips,
            started_at=found.started_at,
            phase_at=found.phase_at,
            encoder=found.encoder,
            language=found.language,
            quality=None if found.quality is None else QualityReply.of(found.quality),
            kept_by=found.kept_by or "",
        )


class MigrationsReply(BaseModel):
    """A page of migrations."""

    model_config = shown(examples.MIGRATIONS)

    migrations: list[MigrationReply]
    next_page_token: str


class EstimateReply(BaseModel):
    """What changing an index would build, and what that takes."""

    model_config = shown(examples.INDEX_ESTIMATE)

    index_version: str = Field(description="Version that would be made; empty for none.")
    encoder: str
    language: str
    documents: int = Field(json_schema_extra=COUNT)
    chunks: int = Field(json_schema_extra=COUNT)
    vector_bytes: int = Field(json_schema_extra=COUNT)
    seconds: float = Field(description="That it takes at the least.", json_schema_extra=COUNT)
    reason: str = Field(description="Why nothing would be built; empty when something would be.")
    tokens: int | None = Field(
        None,
        description="That would be embedded, about: by a sample of the chunks that there are. "
        "Unset when nothing would be built, or they cannot be read now.",
    )
    dollars: float | None = Field(
        None, description="What embedding them costs, about; unset when no price is known."
    )

    @classmethod
    def of(cls, found: IndexEstimate) -> EstimateReply:
        return cls(
            index_version=found.index_version,
            encoder=found.encoder,
            language=found.language,
            documents=found.documents,
            chunks=found.chunks,
            vector_bytes=found.vector_bytes,
            seconds=found.seconds,
            reason=found.reason,
            tokens=found.tokens,
            dollars=found.dollars,
        )


class GoldenReply(BaseModel):
    """Golden questions that a collection keeps."""

    model_config = shown(examples.GOLDEN)

    content: str = Field(description="JSON lines; empty in the answer to keeping them.")
    digest: str
    questions: int = Field(json_schema_extra=COUNT)
    changed_at: datetime

    @classmethod
    def of(cls, kept: GoldenQuestions) -> GoldenReply:
        return cls(
            content=kept.content,
            digest=kept.digest,
            questions=kept.questions,
            changed_at=kept.changed_at,
        )


_SAID_ON_SCHEDULE = ("first", "kept", "risen", "fallen")


class EvaluationReply(BaseModel):
    """An evaluation that was made with them."""

    model_config = shown(examples.EVALUATION)

    evaluation_id: str
    occasion: str
    serving: str
    candidate: str
    golden_digest: str
    verdict: str = Field(json_schema_extra=one_of(GateVerdict, *_SAID_ON_SCHEDULE))
    content: str = Field(description="Scores of both versions by question, as JSON.")
    at: datetime

    @classmethod
    def of(cls, record: EvaluationRecord) -> EvaluationReply:
        return cls(
            evaluation_id=record.evaluation_id,
            occasion=record.occasion,
            serving=record.serving,
            candidate=record.candidate,
            golden_digest=record.golden_digest,
            verdict=record.verdict,
            content=record.content,
            at=record.at,
        )


class EvaluationsReply(BaseModel):
    """A page of evaluations, the newest first."""

    model_config = shown(examples.EVALUATIONS)

    evaluations: list[EvaluationReply]
    next_page_token: str
