"""Tenants and keys over gRPC: a part of AdminService."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.chassis.messages.tenants import (
    budget_from_message,
    key_to_message,
    optional_moment_from_message,
    quota_from_message,
    tenant_to_message,
)
from ragmesh.core.tenants import KeyChange, NewKey, NewTenant, TenantChange
from ragmesh.gateway.server.reading import masked_paths
from ragmesh.gateway.service import GatewayService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_TENANT_FIELDS = {"display_name", "quota", "budget", "retention_days"}
_KEY_FIELDS = {"groups", "roles"}


class KeyMethods:
    """Translates calls about keys and tenants; the interceptor owns errors."""

    def __init__(self, service: GatewayService) -> None:
        self._service = service
        self._catalog = service.catalog

    async def CreateKey(
        self, request: pb.CreateKeyRequest, _context: Context
    ) -> pb.CreateKeyResponse:
        """Make a key, and tell its secret this once."""
        new = NewKey(
            request.tenant,
            request.subject,
            tuple(request.groups),
            tuple(request.roles),
            optional_moment_from_message(request, "expires_at"),
        )
        key, secret = await self._service.create_key(current_principal(), new)
        return pb.CreateKeyResponse(key=key_to_message(key), secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, _context: Context) -> pb.ListKeysResponse:
        """Answer a page of keys."""
        page = await self._catalog.list_keys(
            current_principal(), request.tenant, page_request_from_message(request)
        )
        return pb.ListKeysResponse(
            keys=[key_to_message(key) for key in page.items], next_page_token=page.next_token
        )

    async def UpdateKey(
        self, request: pb.UpdateKeyRequest, _context: Context
    ) -> pb.UpdateKeyResponse:
        """Give a key other groups or roles."""
        paths = masked_paths(request.update_mask, _KEY_FIELDS)
        change = KeyChange(
            tuple(request.groups) if "groups" in paths else None,
            tuple(request.roles) if "roles" in paths else None,
        )
        key = await self._catalog.update_key(current_principal(), request.key_id, change)
        return pb.UpdateKeyResponse(key=key_to_message(key))

    async def RevokeKey(
        self, request: pb.RevokeKeyRequest, _context: Context
    ) -> pb.RevokeKeyResponse:
        """Refuse a key from now on."""
        key = await self._catalog.revoke_key(
            current_principal(), request.key_id, reason=request.reason
        )
        return pb.RevokeKeyResponse(key=key_to_message(key))

    async def RotateKey(
        self, request: pb.RotateKeyRequest, _context: Context
    ) -> pb.RotateKeyResponse:
        """Make the successor of a key, and tell its secret this once."""
        key, secret = await self._service.rotate_key(
            current_principal(), request.key_id, overlap_seconds=request.overlap_seconds
        )
        return pb.RotateKeyResponse(key=key_to_message(key), secret=secret)

    async def CreateTenant(
        self, request: pb.CreateTenantRequest, _context: Context
    ) -> pb.CreateTenantResponse:
        """Make a tenant."""
        new = NewTenant(
            request.name,
            request.display_name,
            quota_from_message(request.quota),
            budget_from_message(request.budget),
            request.retention_days,
        )
        tenant = await self._catalog.create_tenant(current_principal(), new)
        return pb.CreateTenantResponse(tenant=tenant_to_message(tenant))

    async def GetTenant(
        self, request: pb.GetTenantRequest, _context: Context
    ) -> pb.GetTenantResponse:
        """Answer one tenant."""
        tenant = await self._catalog.get_tenant(current_principal(), request.name)
        return pb.GetTenantResponse(tenant=tenant_to_message(tenant))

    async def ListTenants(
        self, request: pb.ListTenantsRequest, _context: Context
    ) -> pb.ListTenantsResponse:
        """Answer a page of tenants."""
        page = await self._catalog.list_tenants(
            current_principal(), page_request_from_message(request)
        )
        return pb.ListTenantsResponse(
            tenants=[tenant_to_message(tenant) for tenant in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateTenant(
        self, request: pb.UpdateTenantRequest, _context: Context
    ) -> pb.UpdateTenantResponse:
        """Change what the mask names."""
        paths = masked_paths(request.update_mask, _TENANT_FIELDS)
        change = TenantChange(
            request.display_name if "display_name" in paths else None,
            quota_from_message(request.quota) if "quota" in paths else None,
            budget_from_message(request.budget) if "budget" in paths else None,
            request.retention_days if "retention_days" in paths else None,
        )
        tenant = await self._catalog.update_tenant(current_principal(), request.name, change)
        return pb.UpdateTenantResponse(tenant=tenant_to_message(tenant))

    async def ReleaseTenant(
        self, request: pb.ReleaseTenantRequest, _context: Context
    ) -> pb.ReleaseTenantResponse:
        """Have no custom resource keep a tenant."""
        await self._catalog.release_tenant(current_principal(), request.name, reason=request.reason)
        return pb.ReleaseTenantResponse()

    async def DeleteTenant(
        self, request: pb.DeleteTenantRequest, _context: Context
    ) -> pb.DeleteTenantResponse:
        """Have a tenant end with all it owns."""
        await self._catalog.delete_tenant(current_principal(), request.name)
        return pb.DeleteTenantResponse()
