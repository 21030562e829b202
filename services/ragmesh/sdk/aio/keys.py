"""Tenants and API keys: who may ask, and for whom."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime

from ragmesh.core.names import collection_name
from ragmesh.core.tenants import (
    ApiKey,
    Budget,
    KeyChange,
    NewKey,
    NewTenant,
    Quota,
    Tenant,
    TenantChange,
)
from ragmesh.sdk.aio.connection import AsyncConnection

_NO_QUOTA = Quota()
_NO_BUDGET = Budget()


class AsyncKeys(AsyncConnection):
    """Makes, lists, changes and revokes keys and tenants; for administrators."""

    async def create_key(
        self,
        tenant: str,
        subject: str,
        *,
        groups: Iterable[str] = (),
        roles: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is told this once; None = it never expires.

        Raises TenantNotFoundError, InvalidError, DeniedError, and SecretSpentError when the answer
        to an earlier attempt was lost: revoke that key and make another.
        """
        new = NewKey(tenant, subject, tuple(groups), tuple(roles), expires_at)
        return await self._calls.change(lambda: self._gateway.create_key(new))

    def list_keys(self, *, tenant: str = "") -> AsyncGenerator[ApiKey, None]:
        """Keys without their secrets; without a tenant those of all that the caller runs."""
        return self._calls.each(lambda page: self._gateway.list_keys(tenant=tenant, page=page))

    async def update_key(
        self,
        key_id: str,
        *,
        groups: Iterable[str] | None = None,
        roles: Iterable[str] | None = None,
    ) -> ApiKey:
        """Give a key other groups or roles, in force within 5 seconds; None leaves them.

        Raises KeyNotFoundError, KeyEndedError.
        """
        change = KeyChange(
            None if groups is None else tuple(groups), None if roles is None else tuple(roles)
        )
        return await self._calls.change(lambda: self._gateway.update_key(key_id, change))

    async def revoke_key(self, key_id: str, *, reason: str = "") -> ApiKey:
        """Make a key useless within 5 seconds. Raises KeyNotFoundError."""
        return await self._calls.change(lambda: self._gateway.revoke_key(key_id, reason=reason))

    async def rotate_key(self, key_id: str, *, overlap_seconds: int) -> tuple[ApiKey, str]:
        """A key for the same user and its secret; the old one is good for so long still.

        Raises KeyNotFoundError, KeyEndedError, SecretSpentError.
        """
        return await self._calls.change(
            lambda: self._gateway.rotate_key(key_id, overlap_seconds=overlap_seconds)
        )

    async def create_tenant(
        self,
        name: str,
        *,
        display_name: str = "",
        quota: Quota = _NO_QUOTA,
        budget: Budget = _NO_BUDGET,
        retention_days: int = 0,
    ) -> Tenant:
        """Make a tenant; 0 days = usage and audit are kept as the server does by default.

        Raises TenantExistsError, InvalidError.
        """
        new = NewTenant(
            collection_name(name, field="name"), display_name, quota, budget, retention_days
        )
        return await self._calls.change(lambda: self._gateway.create_tenant(new))

    async def get_tenant(self, name: str) -> Tenant:
        """One tenant. Raises TenantNotFoundError."""
        return await self._calls.read(lambda: self._gateway.get_tenant(name))

    def list_tenants(self) -> AsyncGenerator[Tenant, None]:
        """Every tenant that the caller may see, by name."""
        return self._calls.each(lambda page: self._gateway.list_tenants(page))

    async def update_tenant(
        self,
        name: str,
        *,
        display_name: str | None = None,
        quota: Quota | None = None,
        budget: Budget | None = None,
        retention_days: int | None = None,
    ) -> Tenant:
        """Change a tenant; None leaves a field. Raises TenantNotFoundError, TenantKeptError."""
        change = TenantChange(display_name, quota, budget, retention_days)
        return await self._calls.change(lambda: self._gateway.update_tenant(name, change))

    async def release_tenant(self, name: str, *, reason: str = "") -> None:
        """Have no custom resource keep a tenant; one that is still there takes it back.

        Raises TenantNotFoundError, DeniedError.
        """
        await self._calls.change(lambda: self._gateway.release_tenant(name, reason=reason))

    async def delete_tenant(self, name: str) -> None:
        """Delete a tenant with all it owns.

        Raises TenantNotFoundError, TenantKeptError, DefaultTenantError.
        """
        await self._calls.change(lambda: self._gateway.delete_tenant(name))
