"""Tenants and keys over gRPC, and their records with them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.chassis.messages.parts import refuse_missing
from ragmesh.chassis.messages.tenants import (
    budget_from_message,
    key_batch_to_message,
    key_to_message,
    new_key_from_message,
    quota_from_message,
    sha256_from_message,
    tenant_to_message,
)
from ragmesh.core.api_keys import KeyDigest
from ragmesh.core.tenants import KeyBatch, KeyChange, NewTenant, TenantChange
from ragmesh.indexing.server.records import Context, RecordServicer


class TenantServicer(RecordServicer):
    """Tenants, their keys and their records; the interceptor owns errors."""

    async def CreateTenant(
        self, request: pb.CreateTenantRequest, _context: Context
    ) -> pb.CreateTenantResponse:
        """Make a tenant."""
        refuse_missing(request, "tenant")
        asked = request.tenant
        new = NewTenant(
            asked.name,
            asked.display_name,
            quota_from_message(asked.quota),
            budget_from_message(asked.budget),
            asked.retention_days,
        )
        tenant = await self._service.create_tenant(current_caller(), new)
        return pb.CreateTenantResponse(tenant=tenant_to_message(tenant))

    async def GetTenant(
        self, request: pb.GetTenantRequest, _context: Context
    ) -> pb.GetTenantResponse:
        """Answer one tenant."""
        tenant = await self._service.get_tenant(current_caller(), request.name)
        return pb.GetTenantResponse(tenant=tenant_to_message(tenant))

    async def ListTenants(
        self, request: pb.ListTenantsRequest, _context: Context
    ) -> pb.ListTenantsResponse:
        """Answer a page of tenants."""
        page = await self._service.list_tenants(
            current_caller(), page_request_from_message(request)
        )
        return pb.ListTenantsResponse(
            tenants=[tenant_to_message(tenant) for tenant in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateTenant(
        self, request: pb.UpdateTenantRequest, _context: Context
    ) -> pb.UpdateTenantResponse:
        """Change what was sent."""
        has = request.HasField
        change = TenantChange(
            request.display_name if has("display_name") else None,
            quota_from_message(request.quota) if has("quota") else None,
            budget_from_message(request.budget) if has("budget") else None,
            request.retention_days if has("retention_days") else None,
            request.of_revision,
        )
        tenant = await self._service.update_tenant(current_caller(), request.name, change)
        return pb.UpdateTenantResponse(tenant=tenant_to_message(tenant))

    async def ReleaseTenant(
        self, request: pb.ReleaseTenantRequest, _context: Context
    ) -> pb.ReleaseTenantResponse:
        """Let anybody change a tenant again."""
        await self._service.release_tenant(current_caller(), request.name, reason=request.reason)
        return pb.ReleaseTenantResponse()

    async def DeleteTenant(
        self, request: pb.DeleteTenantRequest, _context: Context
    ) -> pb.DeleteTenantResponse:
        """Have a tenant end with all it owns."""
        await self._service.delete_tenant(current_caller(), request.name)
        return pb.DeleteTenantResponse()

    async def CreateKey(
        self, request: pb.CreateKeyRequest, _context: Context
    ) -> pb.CreateKeyResponse:
        """Make the key of a hash."""
        refuse_missing(request, "key")
        digest = KeyDigest(request.key.key_id, sha256_from_message(request.secret_sha256))
        new = new_key_from_message(request.key)
        key = await self._service.create_key(current_caller(), new, digest)
        return pb.CreateKeyResponse(key=key_to_message(key))

    async def ListKeys(self, request: pb.ListKeysRequest, _context: Context) -> pb.ListKeysResponse:
        """Answer a page of keys."""
        page = await self._service.list_keys(
            current_caller(), request.tenant, page_request_from_message(request)
        )
        return pb.ListKeysResponse(
            keys=[key_to_message(key) for key in page.items], next_page_token=page.next_token
        )

    async def UpdateKey(
        self, request: pb.UpdateKeyRequest, _context: Context
    ) -> pb.UpdateKeyResponse:
        """Give a key other groups or roles."""
        change = KeyChange(
            tuple(request.groups.names) if request.HasField("groups") else None,
            tuple(request.roles.names) if request.HasField("roles") else None,
        )
        key = await self._service.update_key(current_caller(), request.key_id, change)
        return pb.UpdateKeyResponse(key=key_to_message(key))

    async def RevokeKey(
        self, request: pb.RevokeKeyRequest, _context: Context
    ) -> pb.RevokeKeyResponse:
        """Refuse a key from now on."""
        key = await self._service.revoke_key(
            current_caller(), request.key_id, reason=request.reason
        )
        return pb.RevokeKeyResponse(key=key_to_message(key))

    async def RotateKey(
        self, request: pb.RotateKeyRequest, _context: Context
    ) -> pb.RotateKeyResponse:
        """Make the successor of a key."""
        successor = KeyDigest(request.successor_id, sha256_from_message(request.secret_sha256))
        key = await self._service.rotate_key(
            current_caller(),
            request.key_id,
            successor,
            overlap_seconds=request.overlap_seconds,
        )
        return pb.RotateKeyResponse(key=key_to_message(key))

    async def WatchKeys(
        self, _request: pb.WatchKeysRequest, _context: Context
    ) -> AsyncIterator[pb.WatchKeysResponse]:
        """Follow keys and limits."""
        batches = self._service.watch_keys(current_caller())
        async with aclosing(cast("AsyncGenerator[KeyBatch, None]", batches)):
            async for batch in batches:
                yield key_batch_to_message(batch)
