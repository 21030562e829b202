"""Tenants and keys as messages; the public door and the mesh share them."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ragmesh.api.indexing.v1 import tenant_service_pb2 as service_pb
from ragmesh.api.types.v1 import tenant_pb2 as pb
from ragmesh.chassis.messages.enums import EnumNumbers
from ragmesh.chassis.messages.parts import (
    finite,
    moment_from_message,
    moment_to_message,
)
from ragmesh.core.errors import InvalidError
from ragmesh.core.tenants import (
    ApiKey,
    Budget,
    BudgetAction,
    KeyBatch,
    KeyEntry,
    NewKey,
    Quota,
    Tenant,
)

_ACTIONS = EnumNumbers(BudgetAction, pb.BudgetAction)
_SHA256_BYTES = 32


def quota_to_message(quota: Quota) -> pb.Quota:
    """What a tenant may use."""
    return pb.Quota(
        requests_per_minute=quota.requests_per_minute,
        in_flight=quota.in_flight,
        documents=quota.documents,
        storage_bytes=quota.storage_bytes,
    )


def quota_from_message(message: pb.Quota) -> Quota:
    """What a tenant may use."""
    return Quota(
        message.requests_per_minute, message.in_flight, message.documents, message.storage_bytes
    )


def budget_to_message(budget: Budget) -> pb.Budget:
    """What a tenant may spend."""
    return pb.Budget(
        monthly_dollars=budget.monthly_dollars, on_exceeded=_ACTIONS.number(budget.on_exceeded)
    )


def budget_from_message(message: pb.Budget, *, field: str = "budget") -> Budget:
    """What a tenant may spend; without an action, more is refused."""
    number = message.on_exceeded or pb.BUDGET_ACTION_REFUSE
    return Budget(
        finite(message.monthly_dollars, field=f"{field}.monthly_dollars"),
        _ACTIONS.member(number, field=f"{field}.on_exceeded"),
    )


def tenant_to_message(tenant: Tenant) -> pb.Tenant:
    """A tenant."""
    return pb.Tenant(
        name=tenant.name,
        uid=tenant.uid,
        display_name=tenant.display_name,
        quota=quota_to_message(tenant.quota),
        budget=budget_to_message(tenant.budget),
        retention_days=tenant.retention_days,
        created_at=moment_to_message(tenant.created_at),
        updated_at=moment_to_message(tenant.updated_at),
        revision=tenant.revision,
        kept_by=tenant.kept_by,
    )


def tenant_from_message(message: pb.Tenant) -> Tenant:
    """A tenant."""
    return Tenant(
        name=message.name,
        uid=message.uid,
        display_name=message.display_name,
        quota=quota_from_message(message.quota),
        budget=budget_from_message(message.budget, field="tenant.budget"),
        retention_days=message.retention_days,
        created_at=moment_from_message(message.created_at, field="tenant.created_at"),
        updated_at=moment_from_message(message.updated_at, field="tenant.updated_at"),
        revision=message.revision,
        kept_by=message.kept_by if message.HasField("kept_by") else None,
    )


def key_to_message(key: ApiKey) -> pb.ApiKey:
    """A key without its secret."""
    return pb.ApiKey(
        key_id=key.key_id,
        tenant=key.tenant,
        subject=key.subject,
        groups=key.groups,
        roles=key.roles,
        created_at=moment_to_message(key.created_at),
        expires_at=optional_moment_to_message(key.expires_at),
        revoked_at=optional_moment_to_message(key.revoked_at),
    )


def key_from_message(message: pb.ApiKey) -> ApiKey:
    """A key without its secret."""
    return ApiKey(
        key_id=message.key_id,
        tenant=message.tenant,
        subject=message.subject,
        groups=tuple(message.groups),
        roles=tuple(message.roles),
        created_at=moment_from_message(message.created_at, field="key.created_at"),
        expires_at=optional_moment_from_message(message, "expires_at"),
        revoked_at=optional_moment_from_message(message, "revoked_at"),
    )


def key_batch_to_message(batch: KeyBatch) -> service_pb.WatchKeysResponse:
    """Keys and limits that changed."""
    return service_pb.WatchKeysResponse(
        keys=[
            service_pb.KeyEntry(
                key=key_to_message(entry.key),
                secret_sha256=entry.sha256,
                tenant_uid=entry.tenant_uid,
            )
            for entry in batch.keys
        ],
        tenants=[tenant_to_message(tenant) for tenant in batch.tenants],
        deleted_tenant_uids=batch.deleted_tenant_uids,
        caught_up=batch.caught_up,
    )


def key_batch_from_message(message: service_pb.WatchKeysResponse) -> KeyBatch:
    """Keys and limits that changed."""
    return KeyBatch(
        tuple(
            KeyEntry(
                key_from_message(entry.key),
                entry.tenant_uid,
                sha256_from_message(entry.secret_sha256),
            )
            for entry in message.keys
        ),
        tuple(tenant_from_message(tenant) for tenant in message.tenants),
        tuple(message.deleted_tenant_uids),
        message.caught_up,
    )


def sha256_from_message(content: bytes) -> bytes:
    """The digest, unless it is none."""
    if len(content) != _SHA256_BYTES:
        raise InvalidError.of("secret_sha256", f"must have {_SHA256_BYTES} bytes")
    return content


def optional_moment_to_message(moment: datetime | None) -> Timestamp | None:
    """A moment that may be missing."""
    return None if moment is None else moment_to_message(moment)


def optional_moment_from_message(message: Message, name: str) -> datetime | None:
    """The moment in that part of the message, which may be missing."""
    if not message.HasField(name):
        return None
    return moment_from_message(getattr(message, name), field=name)


def new_key_from_message(message: pb.ApiKey) -> NewKey:
    """A key to make; its times are not read, save when it expires."""
    return NewKey(
        message.tenant,
        message.subject,
        tuple(message.groups),
        tuple(message.roles),
        optional_moment_from_message(message, "expires_at"),
    )
