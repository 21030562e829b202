"""Tenants and keys from afar: a part of the gateway's client."""

from __future__ import annotations

import grpc

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.api.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from ragmesh.chassis.callers import Metadata
from ragmesh.chassis.messages.tenants import (
    budget_to_message,
    key_from_message,
    optional_moment_to_message,
    quota_to_message,
    tenant_from_message,
)
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.tenants import ApiKey, KeyChange, NewKey, NewTenant, Tenant, TenantChange

_SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in ("ListKeys", "RevokeKey", "GetTenant", "ListTenants", "ReleaseTenant")
)


class KeysClient:
    """Who may ask, and for which tenant."""

    def __init__(self, opened: grpc.aio.Channel, metadata: Metadata) -> None:
        self._admin = AdminServiceStub(opened)
        self._metadata = metadata

    async def create_key(self, new: NewKey) -> tuple[ApiKey, str]:
        """A new key and its secret, which is never told again."""
        request = pb.CreateKeyRequest(
            tenant=new.tenant,
            subject=new.subject,
            groups=new.groups,
            roles=new.roles,
            expires_at=optional_moment_to_message(new.expires_at),
        )
        reply = await self._admin.CreateKey(request, metadata=self._metadata)
        return key_from_message(reply.key), reply.secret

    async def list_keys(self, *, tenant: str = "", page: PageRequest) -> Page[ApiKey]:
        """Keys by id; without a tenant those of all that the caller runs."""
        request = pb.ListKeysRequest(tenant=tenant, page_size=page.size, page_token=page.token)
        reply = await self._admin.ListKeys(request, metadata=self._metadata)
        return Page(tuple(key_from_message(key) for key in reply.keys), reply.next_page_token)

    async def update_key(self, key_id: str, change: KeyChange) -> ApiKey:
        """Give a key other groups or roles."""
        request = pb.UpdateKeyRequest(
            key_id=key_id, groups=change.groups or (), roles=change.roles or ()
        )
        wanted = {"groups": change.groups, "roles": change.roles}
        request.update_mask.paths.extend(
            name for name, value in wanted.items() if value is not None
        )
        reply = await self._admin.UpdateKey(request, metadata=self._metadata)
        return key_from_message(reply.key)

    async def revoke_key(self, key_id: str, *, reason: str = "") -> ApiKey:
        """Make a key useless within 5 seconds."""
        request = pb.RevokeKeyRequest(key_id=key_id, reason=reason)
        reply = await self._admin.RevokeKey(request, metadata=self._metadata)
        return key_from_message(reply.key)

    async def rotate_key(self, key_id: str, *, overlap_seconds: int) -> tuple[ApiKey, str]:
        """A key for the same user and its secret; the old one stays good for the overlap."""
        request = pb.RotateKeyRequest(key_id=key_id, overlap_seconds=overlap_seconds)
        reply = await self._admin.RotateKey(request, metadata=self._metadata)
        return key_from_message(reply.key), reply.secret

    async def create_tenant(self, new: NewTenant) -> Tenant:
        """Make a tenant."""
        request = pb.CreateTenantRequest(
            name=new.name,
            display_name=new.display_name,
            quota=quota_to_message(new.quota),
            budget=budget_to_message(new.budget),
            retention_days=new.retention_days,
        )
        reply = await self._admin.CreateTenant(request, metadata=self._metadata)
        return tenant_from_message(reply.tenant)

    async def get_tenant(self, name: str) -> Tenant:
        """One tenant."""
        reply = await self._admin.GetTenant(pb.GetTenantRequest(name=name), metadata=self._metadata)
        return tenant_from_message(reply.tenant)

    async def list_tenants(self, page: PageRequest) -> Page[Tenant]:
        """Tenants by name."""
        request = pb.ListTenantsRequest(page_size=page.size, page_token=page.token)
        reply = await self._admin.ListTenants(request, metadata=self._metadata)
        found = tuple(tenant_from_message(tenant) for tenant in reply.tenants)
        return Page(found, reply.next_page_token)

    async def update_tenant(self, name: str, change: TenantChange) -> Tenant:
        """Change name for people, quota, budget or retention."""
        request = pb.UpdateTenantRequest(name=name)
        if change.display_name is not None:
            request.display_name = change.display_name
            request.update_mask.paths.append("display_name")
        if change.quota is not None:
            request.quota.CopyFrom(quota_to_message(change.quota))
            request.update_mask.paths.append("quota")
        if change.budget is not None:
            request.budget.CopyFrom(budget_to_message(change.budget))
            request.update_mask.paths.append("budget")
        if change.retention_days is not None:
            request.retention_days = change.retention_days
            request.update_mask.paths.append("retention_days")
        reply = await self._admin.UpdateTenant(request, metadata=self._metadata)
        return tenant_from_message(reply.tenant)

    async def release_tenant(self, name: str, *, reason: str = "") -> None:
        """Have no custom resource keep a tenant; asked twice, it is done once."""
        request = pb.ReleaseTenantRequest(name=name, reason=reason)
        await self._admin.ReleaseTenant(request, metadata=self._metadata)

    async def delete_tenant(self, name: str) -> None:
        """Delete a tenant with all it owns."""
        await self._admin.DeleteTenant(pb.DeleteTenantRequest(name=name), metadata=self._metadata)
