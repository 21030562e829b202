"""What was used, seen and done, over gRPC: a part of the service of tenants."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.indexing.v1 import tenant_service_pb2 as pb
from ragmesh.api.indexing.v1 import tenant_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_caller
from ragmesh.chassis.messages.pages import page_request_from_message
from ragmesh.chassis.messages.records import batch_from_message, recorded_to_message
from ragmesh.chassis.messages.usage import (
    audit_query_from_message,
    entry_to_message,
    sight_query_from_message,
    sight_to_message,
    summary_to_message,
    usage_query_from_message,
)
from ragmesh.indexing.service import IndexingService

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RecordServicer(pb_grpc.TenantServiceServicer):
    """Records of gateways, and what admins ask about them; the interceptor owns errors."""

    def __init__(self, service: IndexingService) -> None:
        self._service = service

    async def RecordUsage(
        self, request: pb.RecordUsageRequest, _context: Context
    ) -> pb.RecordUsageResponse:
        """Keep records."""
        batch = batch_from_message(request)
        return recorded_to_message(await self._service.record_usage(current_caller(), batch))

    async def ListUsage(
        self, request: pb.ListUsageRequest, _context: Context
    ) -> pb.ListUsageResponse:
        """Answer a page of sums."""
        page = await self._service.list_usage(
            current_caller(), usage_query_from_message(request), page_request_from_message(request)
        )
        return pb.ListUsageResponse(
            usage=[summary_to_message(one) for one in page.items], next_page_token=page.next_token
        )

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, _context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Answer a page of the audit."""
        page = await self._service.list_audit_entries(
            current_caller(), audit_query_from_message(request), page_request_from_message(request)
        )
        return pb.ListAuditEntriesResponse(
            entries=[entry_to_message(one) for one in page.items], next_page_token=page.next_token
        )

    async def ListSights(
        self, request: pb.ListSightsRequest, _context: Context
    ) -> pb.ListSightsResponse:
        """Answer a page of sights."""
        page = await self._service.list_sights(
            current_caller(), sight_query_from_message(request), page_request_from_message(request)
        )
        return pb.ListSightsResponse(
            sights=[sight_to_message(one) for one in page.items], next_page_token=page.next_token
        )
