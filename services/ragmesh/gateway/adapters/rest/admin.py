"""Administration over HTTP: what was given up, and repairs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ragmesh.chassis.callers import current_principal
from ragmesh.core.errors import BatchTooLargeError, DeadLetterNotFoundError
from ragmesh.core.mending import DeadLetter
from ragmesh.core.names import collection_name
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.bodies import Body
from ragmesh.gateway.adapters.rest.context import (
    CollectionName,
    Context,
    PageSize,
    PageToken,
    page_request,
)
from ragmesh.gateway.adapters.rest.document_replies import ErrorReply
from ragmesh.gateway.adapters.rest.refusals import BODY, CHANGE, COLLECTION, PAGE, problems
from ragmesh.gateway.adapters.rest.replies import optional
from ragmesh.gateway.adapters.rest.shapes import UPLOADS, shown

DeadLetterId = Annotated[
    str, Path(description="Id of the dead letter.", examples=[examples.DEAD_LETTER_ID])
]
OfCollection = Annotated[str, Query(description="Only dead letters of this collection.")]
OfReason = Annotated[str, Query(description="Only those given up for this reason.")]


class OriginReply(BaseModel):
    """What was being handled when work was given up."""

    topic: str
    consumer_group: str
    job_id: str | None = optional("Id of the document's job.")
    traceparent: str | None = optional("Trace of the last attempt.")


class DeadLetterReply(BaseModel):
    """Work that was given up."""

    model_config = shown(examples.DEAD_LETTER)

    dead_letter_id: str
    at: datetime
    collection: str = Field(description="Empty for an event that names none.")
    document_id: str = Field(description="Empty for an event that names none.")
    revision: int
    index_version: str
    error: ErrorReply | None
    attempts: int
    origin: OriginReply
    replayed_at: datetime | None = optional("When it was last asked to be tried again.")

    @classmethod
    def of(cls, letter: DeadLetter) -> DeadLetterReply:
        return cls(
            dead_letter_id=letter.dead_letter_id,
            at=letter.at,
            collection=letter.collection,
            document_id=letter.document_id,
            revision=letter.revision,
            index_version=letter.index_version,
            error=ErrorReply.of(letter.failure),
            attempts=letter.attempts,
            origin=OriginReply(
                topic=letter.origin.topic,
                consumer_group=letter.origin.consumer_group,
                job_id=letter.origin.job_id or None,
                traceparent=letter.origin.traceparent or None,
            ),
            replayed_at=letter.replayed_at,
        )


class DeadLettersReply(BaseModel):
    """A page of dead letters, the newest first."""

    model_config = shown(examples.DEAD_LETTERS)

    dead_letters: list[DeadLetterReply]
    next_page_token: str


class ReplayBody(Body):
    """Names work to try again."""

    dead_letter_ids: list[str] = Field(
        description="Ids of at most 1000 dead letters.",
        examples=[[examples.DEAD_LETTER_ID]],
        json_schema_extra=UPLOADS,
    )


class ReplayReply(BaseModel):
    """What became of the dead letters."""

    model_config = shown(examples.REPLAYED)

    replayed: int = Field(description="Waits for a worker again.")
    superseded: int = Field(description="Dropped: something newer is wanted.")
    gone: int = Field(description="No dead letter of that id, or not any more.")


class RepairReply(BaseModel):
    """What comparing catalog and index found."""

    model_config = shown(examples.REPAIRED)

    compared: int = Field(description="Documents compared.")
    different: int = Field(description="Documents that differed; they are being repaired.")


class AdminRoutes:
    """Translates calls about the mesh itself."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["Administration"])
        add = router.add_api_route
        add(
            "/dead-letters",
            self.list,
            methods=["GET"],
            response_model=DeadLettersReply,
            responses=problems(*COLLECTION, *PAGE),
            summary="List work that was given up",
        )
        add(
            "/dead-letters/{dead_letter_id}",
            self.get,
            methods=["GET"],
            response_model=DeadLetterReply,
            responses=problems(DeadLetterNotFoundError),
            summary="Show a dead letter",
        )
        add(
            "/dead-letters:replay",
            self.replay,
            methods=["POST"],
            response_model=ReplayReply,
            responses=problems(*BODY, *CHANGE, BatchTooLargeError),
            summary="Try given-up work again",
        )
        add(
            "/collections/{collection}:repair",
            self.repair,
            methods=["POST"],
            response_model=RepairReply,
            responses=problems(*COLLECTION, *CHANGE),
            summary="Compare catalog and index now",
        )
        return router

    async def list(
        self,
        collection: OfCollection = "",
        reason: OfReason = "",
        page_size: PageSize = 0,
        page_token: PageToken = "",
    ) -> Any:
        """The newest first, until their documents are indexed or something newer is wanted."""
        page = await self._catalog.list_dead_letters(
            current_principal(),
            collection=collection_name(collection) if collection else "",
            reason=reason,
            page=page_request(page_size, page_token),
        )
        return DeadLettersReply(
            dead_letters=[DeadLetterReply.of(letter) for letter in page.items],
            next_page_token=page.next_token,
        )

    async def get(self, dead_letter_id: DeadLetterId) -> Any:
        """Why it was given up, after how many attempts, and where it comes from."""
        caller = current_principal()
        return DeadLetterReply.of(await self._catalog.get_dead_letter(caller, dead_letter_id))

    async def replay(self, body: ReplayBody) -> Any:
        """Asked twice, the work is done once."""
        caller = current_principal()
        done = await self._catalog.replay_dead_letters(caller, body.dead_letter_ids)
        return ReplayReply(replayed=done.replayed, superseded=done.superseded, gone=done.gone)

    async def repair(self, collection: CollectionName) -> Any:
        """The reconciler does the same by itself, every minute for small collections."""
        caller = current_principal()
        found = await self._catalog.repair_collection(caller, collection_name(collection))
        return RepairReply(compared=found.compared, different=found.different)
