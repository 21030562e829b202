"""Migrations, routes and golden questions as messages; the public door and the mesh share them."""

from __future__ import annotations

from ragmesh.api.indexing.v1 import head_service_pb2
from ragmesh.api.indexing.v1 import migration_service_pb2 as pb
from ragmesh.api.types.v1 import migration_pb2 as types_pb
from ragmesh.chassis.messages.collections import chunking_from_message, chunking_to_message
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.chassis.messages.qualities import quality_from_message, quality_to_message
from ragmesh.chassis.messages.texts import sendable
from ragmesh.core.callers import Requester
from ragmesh.core.migrations import (
    DEFAULT_POLICY,
    Approval,
    CanaryStep,
    CollectionRoute,
    EvaluationRecord,
    GateVerdict,
    GoldenQuestions,
    Hold,
    IndexChange,
    IndexEstimate,
    MetricBound,
    MetricVerdict,
    Migration,
    MigrationCommand,
    MigrationPhase,
    MigrationPolicy,
    OnFailure,
    RouteBatch,
    RouteShare,
)

PHASES = EnumNumbers(MigrationPhase, types_pb.MigrationPhase)
COMMANDS = EnumNumbers(MigrationCommand, types_pb.MigrationCommand)
_APPROVALS = EnumNumbers(Approval, types_pb.Approval)
_ON_FAILURE = EnumNumbers(OnFailure, types_pb.OnFailure)


def change_to_message(collection: str, change: IndexChange) -> pb.SetIndexSpecRequest:
    """What an index should be."""
    requester = change.requester
    return pb.SetIndexSpecRequest(
        collection=collection,
        encoder=sendable(change.encoder or "", field="encoder"),
        chunking=None if change.chunking is None else chunking_to_message(change.chunking),
        language=sendable(change.language or "", field="language"),
        policy=None if change.policy is None else policy_to_message(change.policy),
        requester_uid="" if requester is None else requester.uid,
        requester_generation=0 if requester is None else requester.generation,
    )


def change_from_message(message: pb.SetIndexSpecRequest) -> IndexChange:
    """What an index should be."""
    asks = message.requester_uid
    return IndexChange(
        encoder=message.encoder or None,
        chunking=chunking_from_message(message.chunking) if message.HasField("chunking") else None,
        language=message.language or None,
        policy=policy_from_message(message.policy) if message.HasField("policy") else None,
        requester=Requester(asks, message.requester_generation) if asks else None,
    )


def policy_to_message(policy: MigrationPolicy) -> types_pb.MigrationPolicy:
    """How carefully an index is changed."""
    return types_pb.MigrationPolicy(
        canary=[
            types_pb.CanaryStep(weight=one.weight, hold_seconds=one.hold_seconds)
            for one in policy.canary
        ],
        approval=_APPROVALS.number(policy.approval),
        soak_seconds=policy.soak_seconds,
        retain_seconds=policy.retain_seconds,
        on_failure=_ON_FAILURE.number(policy.on_failure),
        # The last release reads this one alone, and must not lose a bound by it.
        max_regression=policy.strictest_regression,
        default_regression=policy.max_regression,
        max_regressions=[
            types_pb.MetricBound(metric=one.metric, max_regression=one.max_regression)
            for one in policy.max_regressions
        ],
        min_questions=policy.min_questions,
    )


def policy_from_message(message: types_pb.MigrationPolicy) -> MigrationPolicy:
    """How carefully an index is changed; what is not said of enums and counts is the default."""
    approval, on_failure = Approval.AUTOMATIC, OnFailure.ROLLBACK
    if message.approval:
        approval = _APPROVALS.member(message.approval, field="migration_policy.approval")
    if message.on_failure:
        on_failure = _ON_FAILURE.member(message.on_failure, field="migration_policy.on_failure")
    return MigrationPolicy(
        canary=tuple(CanaryStep(one.weight, one.hold_seconds) for one in message.canary),
        approval=approval,
        soak_seconds=message.soak_seconds,
        retain_seconds=message.retain_seconds,
        on_failure=on_failure,
        max_regression=message.default_regression
        if message.HasField("default_regression")
        else message.max_regression,
        max_regressions=tuple(
            MetricBound(one.metric, one.max_regression) for one in message.max_regressions
        ),
        min_questions=message.min_questions or DEFAULT_POLICY.min_questions,
    )


def migration_to_message(migration: Migration) -> types_pb.Migration:
    """Where a migration stands."""
    return types_pb.Migration(
        collection=migration.collection,
        phase=PHASES.number(migration.phase),
        serving=migration.serving,
        candidate=migration.candidate,
        retained=migration.retained,
        route_epoch=migration.route_epoch,
        weights=[
            types_pb.RouteWeight(
                index_version_uid=one.index_version_uid,
                index_version=one.index_version,
                weight=one.weight,
            )
            for one in migration.shares
        ],
        percent=migration.percent,
        documents=migration.documents,
        failed_documents=migration.failed_documents,
        reason=migration.reason,
        message=migration.message,
        held=None if migration.held is None else _hold_to_message(migration.held),
        verdicts=[_verdict_to_message(one) for one in migration.verdicts],
        slice_verdicts=[_verdict_to_message(one) for one in migration.slice_verdicts],
        verdict="" if migration.verdict is None else migration.verdict.value,
        flips=migration.flips,
        started_at=None
        if migration.started_at is None
        else moment_to_message(migration.started_at),
        phase_at=None if migration.phase_at is None else moment_to_message(migration.phase_at),
        encoder=migration.encoder,
        chunking=chunking_to_message(migration.chunking),
        language=migration.language,
        quality=None if migration.quality is None else quality_to_message(migration.quality),
        kept_by=migration.kept_by,
        policy=None if migration.policy is None else policy_to_message(migration.policy),
    )


def migration_from_message(message: types_pb.Migration) -> Migration:
    """Where a migration stands."""
    return Migration(
        collection=message.collection,
        phase=PHASES.member(message.phase, field="migration.phase"),
        serving=message.serving,
        candidate=message.candidate,
        retained=message.retained,
        route_epoch=message.route_epoch,
        shares=tuple(
            RouteShare(one.index_version_uid, one.index_version, one.weight)
            for one in message.weights
        ),
        percent=message.percent,
        documents=message.documents,
        failed_documents=message.failed_documents,
        reason=message.reason,
        message=message.message,
        held=_hold_from_message(message.held) if message.HasField("held") else None,
        verdicts=tuple(_verdict_from_message(one) for one in message.verdicts),
        slice_verdicts=tuple(_verdict_from_message(one) for one in message.slice_verdicts),
        verdict=GateVerdict(message.verdict) if message.verdict else None,
        flips=message.flips,
        started_at=moment_from_message(message.started_at, field="migration.started_at")
        if message.HasField("started_at")
        else None,
        phase_at=moment_from_message(message.phase_at, field="migration.phase_at")
        if message.HasField("phase_at")
        else None,
        encoder=message.encoder,
        chunking=chunking_from_message(message.chunking),
        language=message.language,
        quality=quality_from_message(message.quality) if message.HasField("quality") else None,
        kept_by=message.kept_by if message.HasField("kept_by") else None,
        policy=policy_from_message(message.policy) if message.HasField("policy") else None,
    )


def _verdict_to_message(found: MetricVerdict) -> types_pb.MigrationVerdict:
    return types_pb.MigrationVerdict(
        metric=found.metric,
        serving=found.serving,
        candidate=found.candidate,
        difference_low=found.difference_low,
        difference_high=found.difference_high,
        questions=found.questions,
        verdict=found.verdict.value,
        slice=found.slice,
    )


def _verdict_from_message(message: types_pb.MigrationVerdict) -> MetricVerdict:
    return MetricVerdict(
        metric=message.metric,
        serving=message.serving,
        candidate=message.candidate,
        difference_low=message.difference_low,
        difference_high=message.difference_high,
        questions=message.questions,
        verdict=GateVerdict(message.verdict),
        slice=message.slice,
    )


def _hold_to_message(held: Hold) -> types_pb.MigrationHold:
    return types_pb.MigrationHold(
        by=held.by, reason=held.reason, since=moment_to_message(held.since)
    )


def _hold_from_message(message: types_pb.MigrationHold) -> Hold:
    since = moment_from_message(message.since, field="migration.held.since")
    return Hold(message.by, message.reason, since)


def estimate_to_message(estimate: IndexEstimate) -> types_pb.IndexEstimate:
    """What a change would build."""
    return types_pb.IndexEstimate(
        index_version=estimate.index_version,
        encoder=estimate.encoder,
        chunking=chunking_to_message(estimate.chunking),
        language=estimate.language,
        documents=estimate.documents,
        chunks=estimate.chunks,
        vector_bytes=estimate.vector_bytes,
        seconds=estimate.seconds,
        reason=estimate.reason,
        tokens=estimate.tokens,
        dollars=estimate.dollars,
    )


def estimate_from_message(message: types_pb.IndexEstimate) -> IndexEstimate:
    """What a change would build."""
    return IndexEstimate(
        index_version=message.index_version,
        encoder=message.encoder,
        chunking=chunking_from_message(message.chunking),
        language=message.language,
        documents=message.documents,
        chunks=message.chunks,
        vector_bytes=message.vector_bytes,
        seconds=message.seconds,
        reason=message.reason,
        tokens=message.tokens if message.HasField("tokens") else None,
        dollars=message.dollars if message.HasField("dollars") else None,
    )


def golden_to_message(golden: GoldenQuestions) -> types_pb.GoldenQuestions:
    """Golden questions with their content."""
    return types_pb.GoldenQuestions(
        content=golden.content,
        digest=golden.digest,
        questions=golden.questions,
        changed_at=moment_to_message(golden.changed_at),
    )


def golden_from_message(message: types_pb.GoldenQuestions) -> GoldenQuestions:
    """Golden questions with their content."""
    return GoldenQuestions(
        content=message.content,
        digest=message.digest,
        questions=message.questions,
        changed_at=moment_from_message(message.changed_at, field="golden.changed_at"),
    )


def record_to_message(record: EvaluationRecord) -> types_pb.EvaluationRecord:
    """An evaluation."""
    return types_pb.EvaluationRecord(
        evaluation_id=record.evaluation_id,
        occasion=record.occasion,
        serving=record.serving,
        candidate=record.candidate,
        golden_digest=record.golden_digest,
        verdict=record.verdict,
        content=record.content,
        at=moment_to_message(record.at),
    )


def record_from_message(message: types_pb.EvaluationRecord) -> EvaluationRecord:
    """An evaluation."""
    return EvaluationRecord(
        evaluation_id=message.evaluation_id,
        occasion=message.occasion,
        serving=message.serving,
        candidate=message.candidate,
        golden_digest=message.golden_digest,
        verdict=message.verdict,
        content=message.content,
        at=moment_from_message(message.at, field="evaluation.at"),
    )


def route_batch_to_message(batch: RouteBatch) -> head_service_pb2.WatchRoutesResponse:
    """Routes that changed."""
    return head_service_pb2.WatchRoutesResponse(
        routes=[_route_to_message(route) for route in batch.routes],
        deleted_collection_uids=batch.deleted_collection_uids,
        caught_up=batch.caught_up,
    )


def route_batch_from_message(message: head_service_pb2.WatchRoutesResponse) -> RouteBatch:
    """Routes that changed."""
    return RouteBatch(
        tuple(_route_from_message(route) for route in message.routes),
        tuple(message.deleted_collection_uids),
        message.caught_up,
    )


def _route_to_message(route: CollectionRoute) -> head_service_pb2.CollectionRoute:
    return head_service_pb2.CollectionRoute(
        tenant_uid=route.tenant_uid,
        collection_uid=route.collection_uid,
        collection=route.collection,
        language=route.shares[0].language,
        encoders={one.index_version_uid: one.encoder for one in route.shares},
        languages={one.index_version_uid: one.language for one in route.shares},
        weights=[
            types_pb.RouteWeight(
                index_version_uid=one.index_version_uid,
                index_version=one.index_version,
                weight=one.weight,
            )
            for one in route.shares
        ],
        epoch=route.epoch,
    )


def _route_from_message(message: head_service_pb2.CollectionRoute) -> CollectionRoute:
    return CollectionRoute(
        tenant_uid=message.tenant_uid,
        collection_uid=message.collection_uid,
        collection=message.collection,
        shares=tuple(
            RouteShare(
                one.index_version_uid,
                one.index_version,
                one.weight,
                message.encoders.get(one.index_version_uid, ""),
                message.languages.get(one.index_version_uid, message.language),
            )
            for one in message.weights
        ),
        epoch=message.epoch,
    )
