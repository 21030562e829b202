"""Tenants and keys from afar: a part of the client of indexing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import grpc

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.api.indexing.v1.tenant_service_pb2_grpc import TenantServiceStub
from ragmesh.api.types.v1 import tenant_pb2
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.tenants import (
    budget_to_message,
    key_batch_from_message,
    key_from_message,
    optional_moment_to_message,
    quota_to_message,
    tenant_from_message,
)
from ragmesh.chassis.messages.texts import sendable
from ragmesh.clients.replies import opened, reading
from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.callers import Caller
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.tenants import (
    ApiKey,
    KeyBatch,
    KeyChange,
    NewKey,
    NewTenant,
    Tenant,
    TenantChange,
)

_SERVICE = pb.DESCRIPTOR.services_by_name["TenantService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in ("GetTenant", "ListTenants", "ReleaseTenant", "ListKeys", "RevokeKey")
)
"""Methods for the channel to send again."""
_INDEXING = "indexing"


class TenantClient:
    """Who owns collections, and with which keys they are reached."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._tenants = TenantServiceStub(channel)
        self._signer = caller_signer

    async def create_tenant(self, caller: Caller, new: NewTenant) -> Tenant:
        """Make a tenant."""
        asked = tenant_pb2.Tenant(
            name=new.name,
            display_name=new.display_name,
            quota=quota_to_message(new.quota),
            budget=budget_to_message(new.budget),
            retention_days=new.retention_days,
        )
        reply = await self._tenants.CreateTenant(
            pb.CreateTenantRequest(tenant=asked), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return tenant_from_message(reply.tenant)

    async def get_tenant(self, caller: Caller, name: str) -> Tenant:
        """One tenant that the caller runs."""
        reply = await self._tenants.GetTenant(
            pb.GetTenantRequest(name=name), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return tenant_from_message(reply.tenant)

    async def list_tenants(self, caller: Caller, page: PageRequest) -> Page[Tenant]:
        """The tenants that the caller runs, in order of name."""
        reply = await self._tenants.ListTenants(
            pb.ListTenantsRequest(page_size=page.size, page_token=page.token),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(tenant_from_message(one) for one in reply.tenants)
        return Page(found, reply.next_page_token)

    async def update_tenant(self, caller: Caller, name: str, change: TenantChange) -> Tenant:
        """Change name for people, quota, budget or retention."""
        request = pb.UpdateTenantRequest(
            name=name,
            display_name=change.display_name,
            quota=None if change.quota is None else quota_to_message(change.quota),
            budget=None if change.budget is None else budget_to_message(change.budget),
            retention_days=change.retention_days,
            of_revision=change.of_revision,
        )
        reply = await self._tenants.UpdateTenant(request, metadata=self._signer.metadata(caller))
        with reading(_INDEXING):
            return tenant_from_message(reply.tenant)

    async def release_tenant(self, caller: Caller, name: str, *, reason: str = "") -> None:
        """Have no custom resource keep a tenant; asked twice, it is done once."""
        await self._tenants.ReleaseTenant(
            pb.ReleaseTenantRequest(name=name, reason=sendable(reason, field="reason")),
            metadata=self._signer.metadata(caller),
        )

    async def delete_tenant(self, caller: Caller, name: str) -> None:
        """Have a tenant end with all it owns."""
        await self._tenants.DeleteTenant(
            pb.DeleteTenantRequest(name=name), metadata=self._signer.metadata(caller)
        )

    async def create_key(self, caller: Caller, new: NewKey, digest: KeyDigest) -> ApiKey:
        """Make the key of that digest."""
        asked = tenant_pb2.ApiKey(
            key_id=digest.key_id,
            tenant=new.tenant,
            subject=new.subject,
            groups=new.groups,
            roles=new.roles,
            expires_at=optional_moment_to_message(new.expires_at),
        )
        reply = await self._tenants.CreateKey(
            pb.CreateKeyRequest(key=asked, secret_sha256=digest.sha256),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return key_from_message(reply.key)

    async def list_keys(self, caller: Caller, tenant: str, page: PageRequest) -> Page[ApiKey]:
        """Keys in order of id; without a tenant those of all that the caller runs."""
        reply = await self._tenants.ListKeys(
            pb.ListKeysRequest(tenant=tenant, page_size=page.size, page_token=page.token),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(key_from_message(one) for one in reply.keys)
        return Page(found, reply.next_page_token)

    async def update_key(self, caller: Caller, key_id: str, change: KeyChange) -> ApiKey:
        """Give a key other groups or roles."""
        groups, roles = change.groups, change.roles
        request = pb.UpdateKeyRequest(
            key_id=key_id,
            groups=None if groups is None else pb.Groups(names=groups),
            roles=None if roles is None else pb.Roles(names=roles),
        )
        reply = await self._tenants.UpdateKey(request, metadata=self._signer.metadata(caller))
        with reading(_INDEXING):
            return key_from_message(reply.key)

    async def revoke_key(self, caller: Caller, key_id: str, *, reason: str) -> ApiKey:
        """Refuse a key from now on; asked twice, it is done once."""
        reply = await self._tenants.RevokeKey(
            pb.RevokeKeyRequest(key_id=key_id, reason=reason),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            return key_from_message(reply.key)

    async def rotate_key(
        self, caller: Caller, key_id: str, successor: KeyDigest, *, overlap_seconds: int
    ) -> ApiKey:
        """Make a key for the same user, and let the old one expire."""
        request = pb.RotateKeyRequest(
            key_id=key_id,
            successor_id=successor.key_id,
            secret_sha256=successor.sha256,
            overlap_seconds=overlap_seconds,
        )
        reply = await self._tenants.RotateKey(request, metadata=self._signer.metadata(caller))
        with reading(_INDEXING):
            return key_from_message(reply.key)

    async def watch_keys(self, caller: Caller) -> AsyncGenerator[KeyBatch, None]:
        """Every key and tenant first, then changes, for ever; an empty batch is a heartbeat.

        A peer that is away or dead ends the stream with UNAVAILABLE; ask again then.
        """
        stream = self._tenants.WatchKeys(
            pb.WatchKeysRequest(), metadata=self._signer.metadata(caller)
        )
        async with aclosing(opened(stream)) as messages:
            async for message in messages:
                with reading(_INDEXING):
                    batch = key_batch_from_message(message)
                yield batch
