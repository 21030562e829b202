"""Dead letters and repairs from afar: a part of the client of indexing."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from ragmesh.api.indexing.v1 import migration_service_pb2 as pb
from ragmesh.api.indexing.v1.migration_service_pb2_grpc import MigrationServiceStub
from ragmesh.chassis.callers import CallerSigner
from ragmesh.chassis.messages.mending import dead_letter_from_message
from ragmesh.clients.replies import reading
from ragmesh.core.callers import Caller
from ragmesh.core.mending import DeadLetter, Repaired, Replayed
from ragmesh.core.pages import Page, PageRequest

_SERVICE = pb.DESCRIPTOR.services_by_name["MigrationService"].full_name
IDEMPOTENT_METHODS = tuple(
    f"{_SERVICE}/{method}"
    for method in ("ListDeadLetters", "GetDeadLetter", "ReplayDeadLetters", "RepairCollection")
)
"""Methods for the channel to send again: asked twice, the work is done once."""
REPAIR_SECONDS = 300.0
"""How long a comparison may take, unless the request that asks for it has less time left."""


class MendingClient:
    """What was given up, and how it is mended."""

    def __init__(self, channel: grpc.aio.Channel, caller_signer: CallerSigner) -> None:
        self._mending = MigrationServiceStub(channel)
        self._signer = caller_signer

    async def list_dead_letters(
        self, caller: Caller, *, collection: str, reason: str, page: PageRequest
    ) -> Page[DeadLetter]:
        """Work that was given up, newest first; of any collection and reason when empty."""
        reply = await self._mending.ListDeadLetters(
            pb.ListDeadLettersRequest(
                collection=collection, reason=reason, page_size=page.size, page_token=page.token
            ),
            metadata=self._signer.metadata(caller),
        )
        with reading("indexing"):
            found = tuple(dead_letter_from_message(one) for one in reply.dead_letters)
        return Page(found, reply.next_page_token)

    async def get_dead_letter(self, caller: Caller, dead_letter_id: str) -> DeadLetter:
        """One dead letter."""
        reply = await self._mending.GetDeadLetter(
            pb.GetDeadLetterRequest(dead_letter_id=dead_letter_id),
            metadata=self._signer.metadata(caller),
        )
        with reading("indexing"):
            return dead_letter_from_message(reply.dead_letter)

    async def replay_dead_letters(self, caller: Caller, dead_letter_ids: Sequence[str]) -> Replayed:
        """Try given-up work again."""
        reply = await self._mending.ReplayDeadLetters(
            pb.ReplayDeadLettersRequest(dead_letter_ids=dead_letter_ids),
            metadata=self._signer.metadata(caller),
        )
        return Replayed(reply.replayed, reply.superseded, reply.gone)

    async def repair_collection(self, caller: Caller, collection: str) -> Repaired:
        """Compare catalog and index now; what differs is repaired, or with the worker."""
        reply = await self._mending.RepairCollection(
            pb.RepairCollectionRequest(collection=collection),
            metadata=self._signer.metadata(caller),
            timeout=REPAIR_SECONDS,
        )
        return Repaired(reply.compared, reply.different)
