"""What was used, seen and done, as messages; the public door and the mesh share the listings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.types.v1 import audit_pb2
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import finite, moment_from_message, moment_to_message
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Interval,
    Sight,
    SightQuery,
    UsagePeriod,
    UsageQuery,
    UsageSummary,
)

_PERIODS = EnumNumbers(UsagePeriod, audit_pb2.UsagePeriod)


class Timed(Protocol):
    """Every request about a time."""

    @property
    def since(self) -> Timestamp:
        """Its begin."""

    @property
    def until(self) -> Timestamp:
        """Its end, not in it."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: N802 - protobuf's name
        """Whether it was said."""


def interval_from_message(message: Timed) -> Interval:
    """The time that is asked about."""
    return Interval(_moment(message, "since"), _moment(message, "until"))


def _moment(message: Timed, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    return moment_from_message(getattr(message, field), field=field)


def interval_fields(interval: Interval) -> dict[str, Timestamp]:
    """The time that is asked about, as fields of a request."""
    ends = {"since": interval.since, "until": interval.until}
    return {name: moment_to_message(end) for name, end in ends.items() if end is not None}


def usage_query_fields(query: UsageQuery) -> dict[str, Any]:
    """Which sums are asked for, as fields of a request."""
    period = 0 if query.period is None else _PERIODS.number(query.period)
    return {"tenant": query.tenant, "period": period, **interval_fields(query.interval)}


def usage_query_from_message(message: Any) -> UsageQuery:
    """Which sums are asked for."""
    period = _PERIODS.member(message.period, field="period") if message.period else None
    return UsageQuery(message.tenant, interval_from_message(message), period)


def audit_query_fields(query: AuditQuery) -> dict[str, Any]:
    """Which entries are asked for, as fields of a request."""
    return {
        "tenant": query.tenant,
        "actor": query.actor,
        "action": query.action,
        "resource": query.resource,
        **interval_fields(query.interval),
    }


def audit_query_from_message(message: Any) -> AuditQuery:
    """Which entries are asked for."""
    return AuditQuery(
        message.tenant,
        interval_from_message(message),
        message.actor,
        message.action,
        message.resource,
    )


def sight_query_fields(query: SightQuery) -> dict[str, Any]:
    """Which sights are asked for, as fields of a request."""
    return {
        "tenant": query.tenant,
        "actor": query.actor,
        "collection": query.collection,
        "document_id": query.document_id,
        **interval_fields(query.interval),
    }


def sight_query_from_message(message: Any) -> SightQuery:
    """Which sights are asked for."""
    return SightQuery(
        message.tenant,
        interval_from_message(message),
        message.actor,
        message.collection,
        message.document_id,
    )


def summary_to_message(summary: UsageSummary) -> audit_pb2.UsageSummary:
    """What a tenant used in a period."""
    return audit_pb2.UsageSummary(
        tenant=summary.tenant,
        since=moment_to_message(summary.since),
        until=moment_to_message(summary.until),
        model=summary.model,
        requests=summary.requests,
        cached_requests=summary.cached_requests,
        failed_requests=summary.failed_requests,
        documents=summary.documents,
        prompt_tokens=summary.prompt_tokens,
        completion_tokens=summary.completion_tokens,
        cost_dollars=summary.cost_dollars,
        duration_seconds=summary.duration_seconds,
    )


def summary_from_message(message: audit_pb2.UsageSummary) -> UsageSummary:
    """What a tenant used in a period."""
    return UsageSummary(
        tenant=message.tenant,
        since=moment_from_message(message.since, field="usage.since"),
        until=moment_from_message(message.until, field="usage.until"),
        model=message.model,
        requests=message.requests,
        cached_requests=message.cached_requests,
        failed_requests=message.failed_requests,
        documents=message.documents,
        prompt_tokens=message.prompt_tokens,
        completion_tokens=message.completion_tokens,
        cost_dollars=finite(message.cost_dollars, field="usage.cost_dollars"),
        duration_seconds=finite(message.duration_seconds, field="usage.duration_seconds"),
    )


def entry_to_message(entry: AuditEntry) -> audit_pb2.AuditEntry:
    """An entry of the audit."""
    return audit_pb2.AuditEntry(
        entry_id=entry.entry_id,
        at=moment_to_message(entry.at),
        tenant=entry.tenant,
        actor=entry.actor,
        key_id=entry.key_id,
        action=entry.action,
        resource=entry.resource,
        details=dict(entry.details),
        refusal=entry.refusal,
        reason=entry.reason,
        request_id=entry.request_id,
    )


def entry_from_message(message: audit_pb2.AuditEntry) -> AuditEntry:
    """An entry of the audit."""
    return AuditEntry(
        entry_id=message.entry_id,
        at=moment_from_message(message.at, field="entry.at"),
        tenant=message.tenant,
        actor=message.actor,
        key_id=message.key_id,
        action=message.action,
        resource=message.resource,
        details=tuple(sorted(message.details.items())),
        refusal=message.refusal,
        reason=message.reason,
        request_id=message.request_id,
    )


def sight_to_message(sight: Sight) -> audit_pb2.Sight:
    """What somebody saw."""
    return audit_pb2.Sight(
        at=moment_to_message(sight.at),
        tenant=sight.tenant,
        actor=sight.actor,
        key_id=sight.key_id,
        action=sight.action,
        collection=sight.collection,
        document_id=sight.document_id,
        document_uid=sight.document_uid,
        chunk_ids=sight.chunk_ids,
        request_id=sight.request_id,
    )


def sight_from_message(message: audit_pb2.Sight) -> Sight:
    """What somebody saw."""
    return Sight(
        at=moment_from_message(message.at, field="sight.at"),
        tenant=message.tenant,
        actor=message.actor,
        key_id=message.key_id,
        action=message.action,
        collection=message.collection,
        document_id=message.document_id,
        document_uid=message.document_uid,
        chunk_ids=tuple(message.chunk_ids),
        request_id=message.request_id,
    )
