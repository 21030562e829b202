"""Limits of tenants, in place of those that all have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragmesh.core.callers import Principal
from ragmesh.gateway.keys import KnownKeys
from ragmesh.gateway.limiting.quotas import Allowances


@dataclass(frozen=True, slots=True)
class TenantQuotas:
    """What a tenant was given for itself, else what every one has; a `Quotas`."""

    known: KnownKeys
    allowances: Allowances

    def of(self, principal: Principal) -> Allowances:
        """See `Quotas`."""
        tenant = self.known.tenant(principal.tenant_uid)
        if tenant is None:
            return self.allowances
        quota = tenant.quota
        own = self.allowances.tenant.bounded(quota.requests_per_minute, quota.in_flight)
        return replace(self.allowances, tenant=own)
