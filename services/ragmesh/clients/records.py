"""What was used, seen and done, from afar: a part of the client of indexing."""

from __future__ import annotations

import grpc

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.api.indexing.v1.tenant_service_pb2_grpc import TenantServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.records import batch_to_message, recorded_from_message
from ragmesh.chassis.messages.usage import (
    audit_query_fields,
    entry_from_message,
    sight_from_message,
    sight_query_fields,
    summary_from_message,
    usage_query_fields,
)
from ragmesh.clients.replies import reading
from ragmesh.core.callers import Caller
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Recorded,
    Sight,
    SightQuery,
    UsageBatch,
    UsageQuery,
    UsageSummary,
)

_SERVICE = pb.DESCRIPTOR.services_by_name["TenantService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in ("RecordUsage", "ListUsage", "ListAuditEntries", "ListSights")
)
"""Methods for the channel to send again: a record is known by its id."""
_INDEXING = "indexing"


class RecordClient:
    """Keeps records, and tells what they say."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._records = TenantServiceStub(channel)
        self._signer = caller_signer

    async def record_usage(self, caller: Caller, batch: UsageBatch) -> Recorded:
        """Keep what was used, seen and refused; the same again changes nothing."""
        reply = await self._records.RecordUsage(
            batch_to_message(batch), metadata=self._signer.metadata(caller)
        )
        with reading(_INDEXING):
            return recorded_from_message(reply)

    async def list_usage(
        self, caller: Caller, query: UsageQuery, page: PageRequest
    ) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""
        reply = await self._records.ListUsage(
            pb.ListUsageRequest(
                **usage_query_fields(query), page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(summary_from_message(one) for one in reply.usage)
        return Page(found, reply.next_page_token)

    async def list_audit_entries(
        self, caller: Caller, query: AuditQuery, page: PageRequest
    ) -> Page[AuditEntry]:
        """What was done and refused, newest first."""
        reply = await self._records.ListAuditEntries(
            pb.ListAuditEntriesRequest(
                **audit_query_fields(query), page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(entry_from_message(one) for one in reply.entries)
        return Page(found, reply.next_page_token)

    async def list_sights(
        self, caller: Caller, query: SightQuery, page: PageRequest
    ) -> Page[Sight]:
        """Who saw what, newest first."""
        reply = await self._records.ListSights(
            pb.ListSightsRequest(
                **sight_query_fields(query), page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading(_INDEXING):
            found = tuple(sight_from_message(one) for one in reply.sights)
        return Page(found, reply.next_page_token)
