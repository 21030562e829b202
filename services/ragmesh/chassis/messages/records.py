"""Records of what was used, seen and refused, on their way from a gateway to indexing."""

from __future__ import annotations

from typing import Any

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.chassis.messages.parts import finite, moment_from_message, moment_to_message
from ragmesh.chassis.messages.search import timings_from_messages, timings_to_messages
from ragmesh.chassis.messages.tenants import budget_from_message, budget_to_message
from ragmesh.core.answers import Usage
from ragmesh.core.errors import InvalidError
from ragmesh.core.usage import (
    Circumstances,
    Recorded,
    RefusalRecord,
    SeenDocument,
    SightRecord,
    Spent,
    UsageBatch,
    UsageRecord,
)


def batch_to_message(batch: UsageBatch) -> pb.RecordUsageRequest:
    """Records to keep."""
    return pb.RecordUsageRequest(
        usage=[_usage_to_message(one) for one in batch.usage],
        sights=[_sight_to_message(one) for one in batch.sights],
        refusals=[_refusal_to_message(one) for one in batch.refusals],
    )


def batch_from_message(message: pb.RecordUsageRequest) -> UsageBatch:
    """Records to keep; each must say which it is and whose."""
    return UsageBatch(
        tuple(_usage_from_message(one) for one in message.usage),
        tuple(_sight_from_message(one) for one in message.sights),
        tuple(_refusal_from_message(one) for one in message.refusals),
    )


def recorded_to_message(recorded: Recorded) -> pb.RecordUsageResponse:
    """What became of a batch."""
    return pb.RecordUsageResponse(
        recorded=recorded.recorded,
        duplicates=recorded.duplicates,
        spent=[
            pb.Spent(
                tenant_uid=one.tenant_uid,
                month_dollars=one.month_dollars,
                budget=budget_to_message(one.budget),
            )
            for one in recorded.spent
        ],
    )


def recorded_from_message(message: pb.RecordUsageResponse) -> Recorded:
    """What became of a batch."""
    spent = tuple(
        Spent(
            one.tenant_uid,
            finite(one.month_dollars, field="spent.month_dollars"),
            budget_from_message(one.budget),
        )
        for one in message.spent
    )
    return Recorded(message.recorded, message.duplicates, spent)


def _call_fields(call: Circumstances) -> dict[str, Any]:
    return {
        "record_id": call.record_id,
        "at": moment_to_message(call.at),
        "tenant_uid": call.tenant_uid,
        "subject": call.subject,
        "key_id": call.key_id,
        "method": call.method,
        "request_id": call.request_id,
    }


def _call_from_message(
    message: pb.UsageRecord | pb.SightRecord | pb.RefusalRecord,
) -> Circumstances:
    for name in ("record_id", "tenant_uid", "method"):
        if not getattr(message, name):
            raise InvalidError.of(name, "must be given")
    return Circumstances(
        record_id=message.record_id,
        at=moment_from_message(message.at, field="at"),
        tenant_uid=message.tenant_uid,
        subject=message.subject,
        key_id=message.key_id,
        method=message.method,
        request_id=message.request_id,
    )


def _usage_to_message(record: UsageRecord) -> pb.UsageRecord:
    return pb.UsageRecord(
        **_call_fields(record.call),
        collection_uid=record.collection_uid,
        model=record.model,
        prompt_tokens=record.usage.prompt_tokens,
        completion_tokens=record.usage.completion_tokens,
        cost_dollars=record.usage.cost_dollars,
        cached=record.cached,
        error=record.error,
        timings=timings_to_messages(record.timings_ms),
        duration_ms=record.duration_ms,
        documents=record.documents,
    )


def _usage_from_message(message: pb.UsageRecord) -> UsageRecord:
    cost = finite(message.cost_dollars, field="cost_dollars")
    return UsageRecord(
        call=_call_from_message(message),
        collection_uid=message.collection_uid,
        model=message.model,
        usage=Usage(message.prompt_tokens, message.completion_tokens, cost),
        cached=message.cached,
        error=message.error,
        timings_ms=timings_from_messages(message.timings),
        duration_ms=finite(message.duration_ms, field="duration_ms"),
        documents=message.documents,
    )


def _sight_to_message(record: SightRecord) -> pb.SightRecord:
    return pb.SightRecord(
        **_call_fields(record.call),
        collection_uid=record.collection_uid,
        documents=[
            pb.SeenDocument(document_uid=seen.document_uid, chunk_ids=seen.chunk_ids)
            for seen in record.documents
        ],
    )


def _sight_from_message(message: pb.SightRecord) -> SightRecord:
    seen = (
        SeenDocument(document.document_uid, tuple(document.chunk_ids))
        for document in message.documents
    )
    return SightRecord(_call_from_message(message), message.collection_uid, tuple(seen))


def _refusal_to_message(record: RefusalRecord) -> pb.RefusalRecord:
    return pb.RefusalRecord(
        **_call_fields(record.call), refusal=record.refusal, attempts=record.attempts
    )


def _refusal_from_message(message: pb.RefusalRecord) -> RefusalRecord:
    return RefusalRecord(_call_from_message(message), message.refusal, message.attempts)
