"""Administration over gRPC: keys, tenants, usage, audit, what was given up, and repairs."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.api.gateway.v1 import admin_service_pb2_grpc as pb_grpc
from ragmesh.chassis.callers import current_principal
from ragmesh.chassis.messages.mending import dead_letter_to_message
from ragmesh.chassis.messages.usage import (
    audit_query_from_message,
    entry_to_message,
    sight_query_from_message,
    sight_to_message,
    summary_to_message,
    usage_query_from_message,
)
from ragmesh.core.names import collection_name
from ragmesh.core.pages import PageRequest
from ragmesh.gateway.server.changing import ChangingMethods

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AdminServicer(ChangingMethods, pb_grpc.AdminServiceServicer):
    """Translates calls about the mesh itself; the interceptor owns errors."""

    async def ListUsage(
        self, request: pb.ListUsageRequest, _context: Context
    ) -> pb.ListUsageResponse:
        """Answer a page of sums."""
        page = await self._catalog.list_usage(
            current_principal(),
            usage_query_from_message(request),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListUsageResponse(
            usage=[summary_to_message(one) for one in page.items], next_page_token=page.next_token
        )

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, _context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Answer a page of the audit."""
        page = await self._catalog.list_audit_entries(
            current_principal(),
            audit_query_from_message(request),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListAuditEntriesResponse(
            entries=[entry_to_message(one) for one in page.items], next_page_token=page.next_token
        )

    async def ListSights(
        self, request: pb.ListSightsRequest, _context: Context
    ) -> pb.ListSightsResponse:
        """Answer a page of sights."""
        page = await self._catalog.list_sights(
            current_principal(),
            sight_query_from_message(request),
            PageRequest(request.page_size, request.page_token),
        )
        return pb.ListSightsResponse(
            sights=[sight_to_message(one) for one in page.items], next_page_token=page.next_token
        )

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, _context: Context
    ) -> pb.ListDeadLettersResponse:
        """Answer a page of dead letters."""
        caller = current_principal()
        page = await self._catalog.list_dead_letters(
            caller,
            collection=collection_name(request.collection) if request.collection else "",
            reason=request.reason,
            page=PageRequest(request.page_size, request.page_token),
        )
        return pb.ListDeadLettersResponse(
            dead_letters=[dead_letter_to_message(letter) for letter in page.items],
            next_page_token=page.next_token,
        )

    async def GetDeadLetter(
        self, request: pb.GetDeadLetterRequest, _context: Context
    ) -> pb.GetDeadLetterResponse:
        """Answer one dead letter."""
        caller = current_principal()
        letter = await self._catalog.get_dead_letter(caller, request.dead_letter_id)
        return pb.GetDeadLetterResponse(dead_letter=dead_letter_to_message(letter))

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, _context: Context
    ) -> pb.ReplayDeadLettersResponse:
        """Have given-up work done again."""
        caller = current_principal()
        done = await self._catalog.replay_dead_letters(caller, list(request.dead_letter_ids))
        return pb.ReplayDeadLettersResponse(
            replayed=done.replayed, superseded=done.superseded, gone=done.gone
        )

    async def RepairCollection(
        self, request: pb.RepairCollectionRequest, _context: Context
    ) -> pb.RepairCollectionResponse:
        """Compare and repair a collection now."""
        caller = current_principal()
        name = collection_name(request.collection)
        found = await self._catalog.repair_collection(caller, name)
        return pb.RepairCollectionResponse(compared=found.compared, different=found.different)
