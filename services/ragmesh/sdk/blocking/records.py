# Generated from ragmesh/sdk/aio/records.py by tools/generate_blocking.py; edit that instead.
"""What was used, done and seen."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

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
from ragmesh.sdk.arguments import member_of
from ragmesh.sdk.blocking.connection import Connection


class Records(Connection):
    """Reads usage, audit and sights; for administrators.

    `since` and `until` are moments with a time zone, the second left out; None = without that end.
    An empty tenant is every one that the key may ask about.
    """

    def list_usage(
        self,
        *,
        tenant: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        period: UsagePeriod | str | None = None,
    ) -> Generator[UsageSummary, None, None]:
        """One sum a tenant and model, and with `period` (`day`, `month`) one for each of them.

        Costs are US dollars. Raises DeniedError.
        """
        each = None if period is None else member_of(UsagePeriod, period, field="period")
        query = UsageQuery(tenant, Interval(since, until), each)
        return self._calls.each(lambda page: self._gateway.list_usage(query, page))

    def list_audit_entries(
        self,
        *,
        tenant: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str = "",
        action: str = "",
        resource: str = "",
    ) -> Generator[AuditEntry, None, None]:
        """Who did what, and what was refused, the newest first; `resource` with all below it.

        Raises DeniedError.
        """
        query = AuditQuery(tenant, Interval(since, until), actor, action, resource)
        return self._calls.each(lambda page: self._gateway.list_audit_entries(query, page))

    def list_sights(
        self,
        *,
        tenant: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        actor: str = "",
        collection: str = "",
        document_id: str = "",
    ) -> Generator[Sight, None, None]:
        """Who was shown passages of which document, the newest first. Raises DeniedError."""
        query = SightQuery(tenant, Interval(since, until), actor, collection, document_id)
        return self._calls.each(lambda page: self._gateway.list_sights(query, page))
