"""Administration from afar: a part of the gateway's client."""

from __future__ import annotations

from collections.abc import Sequence

from ragmesh.api.gateway.v1 import admin_service_pb2 as pb
from ragmesh.chassis.messages.mending import dead_letter_from_message
from ragmesh.chassis.messages.usage import (
    audit_query_fields,
    entry_from_message,
    sight_from_message,
    sight_query_fields,
    summary_from_message,
    usage_query_fields,
)
from ragmesh.clients.gateway.keys import IDEMPOTENT_METHODS as KEY_METHODS
from ragmesh.clients.gateway.keys import KeysClient
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.pages import Page, PageRequest
from ragmesh.core.usage import (
    AuditEntry,
    AuditQuery,
    Sight,
    SightQuery,
    UsageQuery,
    UsageSummary,
)

_SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"].full_name
_METHODS = (
    "ListUsage",
    "ListAuditEntries",
    "ListSights",
    "ListDeadLetters",
    "GetDeadLetter",
    "ReplayDeadLetters",
    "RepairCollection",
)
IDEMPOTENT_METHODS = (*KEY_METHODS, *(f"{_SERVICE}/{method}" for method in _METHODS))
REPAIR_SECONDS = 300.0


class AdminClient(KeysClient):
    """What was used, done and given up, and how that is mended."""

    async def list_usage(self, query: UsageQuery, page: PageRequest) -> Page[UsageSummary]:
        """One sum a period, tenant and model, in this order."""
        request = pb.ListUsageRequest(
            **usage_query_fields(query), page_size=page.size, page_token=page.token
        )
        reply = await self._admin.ListUsage(request, metadata=self._metadata)
        return Page(tuple(summary_from_message(one) for one in reply.usage), reply.next_page_token)

    async def list_audit_entries(self, query: AuditQuery, page: PageRequest) -> Page[AuditEntry]:
        """What was done and refused, the newest first."""
        request = pb.ListAuditEntriesRequest(
            **audit_query_fields(query), page_size=page.size, page_token=page.token
        )
        reply = await self._admin.ListAuditEntries(request, metadata=self._metadata)
        return Page(tuple(entry_from_message(one) for one in reply.entries), reply.next_page_token)

    async def list_sights(self, query: SightQuery, page: PageRequest) -> Page[Sight]:
        """Who saw what, the newest first."""
        request = pb.ListSightsRequest(
            **sight_query_fields(query), page_size=page.size, page_token=page.token
        )
        reply = await self._admin.ListSights(request, metadata=self._metadata)
        return Page(tuple(sight_from_message(one) for one in reply.sights), reply.next_page_token)

    async def list_dead_letters(
        self, *, collection: str = "", reason: str = "", page: PageRequest
    ) -> Page[DeadLetter]:
        """Work that was given up, the newest first; of any collection and reason when empty."""
        request = pb.ListDeadLettersRequest(
            collection=collection, reason=reason, page_size=page.size, page_token=page.token
        )
        reply = await self._admin.ListDeadLetters(request, metadata=self._metadata)
        found = tuple(dead_letter_from_message(letter) for letter in reply.dead_letters)
        return Page(found, reply.next_page_token)

    async def get_dead_letter(self, dead_letter_id: str) -> DeadLetter:
        """One dead letter."""
        request = pb.GetDeadLetterRequest(dead_letter_id=dead_letter_id)
        reply = await self._admin.GetDeadLetter(request, metadata=self._metadata)
        return dead_letter_from_message(reply.dead_letter)

    async def replay_dead_letters(self, dead_letter_ids: Sequence[str]) -> Replayed:
        """Try given-up work again; asked twice, it is done once."""
        request = pb.ReplayDeadLettersRequest(dead_letter_ids=dead_letter_ids)
        reply = await self._admin.ReplayDeadLetters(request, metadata=self._metadata)
        return Replayed(reply.replayed, reply.superseded, reply.gone)

    async def repair_collection(self, collection: str) -> Repaired:
        """Compare catalog and index now, and repair every difference."""
        reply = await self._admin.RepairCollection(
            pb.RepairCollectionRequest(collection=collection),
            metadata=self._metadata,
            timeout=REPAIR_SECONDS,
        )
        return Repaired(reply.compared, reply.different)
