"""What was used, seen and done, over HTTP."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from ragmesh.chassis.callers import current_principal
from ragmesh.core.errors import TenantNotFoundError
from ragmesh.core.names import collection_name, document_id
from ragmesh.core.pages import PageRequest
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
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.context import Context
from ragmesh.gateway.adapters.rest.refusals import COLLECTION, PAGE, problems
from ragmesh.gateway.adapters.rest.shapes import PAGE_SIZE, shown


class _Asked(BaseModel):
    """What every listing is asked with."""

    tenant: str = Field("", description="Name of the tenant; empty for the caller's own.")
    since: AwareDatetime | None = Field(None, description="Begin of the time, with its zone.")
    until: AwareDatetime | None = Field(None, description="End of the time, not in it.")
    page_size: int = Field(
        0,
        description="Most items to answer, at most 1000; 0 for the default of 100.",
        json_schema_extra=PAGE_SIZE,
    )
    page_token: str = Field(
        "", description="`next_page_token` of the page before; empty for the first page."
    )

    @property
    def interval(self) -> Interval:
        """The time that is asked about."""
        return Interval(self.since, self.until)

    @property
    def page(self) -> PageRequest:
        """The page that is asked for."""
        return PageRequest(self.page_size, self.page_token)


class UsageAsked(_Asked):
    """Which sums are asked for."""

    period: Literal["day", "month"] | None = Field(None, description="One sum a day or month.")

    @property
    def query(self) -> UsageQuery:
        """The question."""
        period = None if self.period is None else UsagePeriod(self.period)
        return UsageQuery(self.tenant, self.interval, period)


class AuditAsked(_Asked):
    """Which entries are asked for."""

    actor: str = Field("", description="Only this subject or machine.")
    action: str = Field("", description="Only this method.")
    resource: str = Field("", description="Only this path of names and what is below it.")

    @property
    def query(self) -> AuditQuery:
        """The question."""
        return AuditQuery(self.tenant, self.interval, self.actor, self.action, self.resource)


class SightsAsked(_Asked):
    """Which sights are asked for."""

    actor: str = Field("", description="Only this subject.")
    collection: str = Field("", description="Only documents of this collection.")
    document_id: str = Field("", description="Only this document; needs a collection.")

    @property
    def query(self) -> SightQuery:
        """The question."""
        return SightQuery(
            self.tenant,
            self.interval,
            self.actor,
            collection_name(self.collection) if self.collection else "",
            document_id(self.document_id) if self.document_id else "",
        )


class UsageReply(BaseModel):
    """What a tenant used of one model in one period."""

    model_config = shown(examples.USED)

    tenant: str
    since: datetime
    until: datetime = Field(description="Not in it.")
    model: str = Field(description="Empty for calls without one.")
    requests: int
    cached_requests: int = Field(description="Answered from the cache.")
    failed_requests: int = Field(description="Ended in an error.")
    documents: int = Field(description="Taken in.")
    prompt_tokens: int
    completion_tokens: int
    cost_dollars: float
    duration_seconds: float = Field(description="Of all calls together.")

    @classmethod
    def of(cls, summary: UsageSummary) -> UsageReply:
        return cls(**asdict(summary))


class UsagesReply(BaseModel):
    """A page of sums, by period, tenant and model."""

    model_config = shown(examples.USAGES)

    usage: list[UsageReply]
    next_page_token: str


class AuditEntryReply(BaseModel):
    """One thing that somebody did or was not allowed to do."""

    model_config = shown(examples.AUDIT_ENTRY)

    entry_id: str
    at: datetime
    tenant: str
    actor: str = Field(description="Subject of a user, or name of a machine.")
    key_id: str = Field(description="Of the key that was used; empty without one.")
    action: str
    resource: str = Field(description="A path of names.")
    details: dict[str, str] = Field(description="Numbers, and names of what changed.")
    refusal: str = Field(description="Reason of the refusal; empty for what was done.")
    reason: str = Field(description="Why, where the request says so.")
    request_id: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryReply:
        return cls(**(asdict(entry) | {"details": dict(entry.details)}))


class AuditReply(BaseModel):
    """A page of the audit, the newest first."""

    model_config = shown(examples.AUDIT)

    entries: list[AuditEntryReply]
    next_page_token: str


class SightReply(BaseModel):
    """Passages of one document that one call showed to somebody."""

    model_config = shown(examples.SIGHT)

    at: datetime
    tenant: str
    actor: str
    key_id: str = Field(description="Of the key that was used; empty without one.")
    action: str
    collection: str = Field(description="Empty once it is gone.")
    document_id: str = Field(description="Empty once it is gone.")
    document_uid: str
    chunk_ids: list[str] = Field(
        description="None where an answer was made from it and quotes none of it."
    )
    request_id: str

    @classmethod
    def of(cls, sight: Sight) -> SightReply:
        return cls(**(asdict(sight) | {"chunk_ids": list(sight.chunk_ids)}))


class SightsReply(BaseModel):
    """A page of sights, the newest first."""

    model_config = shown(examples.SIGHTS)

    sights: list[SightReply]
    next_page_token: str


_LISTED = (*PAGE, TenantNotFoundError)


class RecordRoutes:
    """Translates questions of admins about what was used, seen and done."""

    def __init__(self, context: Context) -> None:
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["Administration"])
        for path, call, reply, errors, summary in (
            ("/usage", self.usage, UsagesReply, _LISTED, "Sum up what was used"),
            ("/audit", self.audit, AuditReply, _LISTED, "List what was done"),
            ("/sights", self.sights, SightsReply, (*_LISTED, *COLLECTION), "List who saw what"),
        ):
            router.add_api_route(
                path,
                call,
                methods=["GET"],
                response_model=reply,
                responses=problems(*errors),
                summary=summary,
            )
        return router

    async def usage(self, asked: Annotated[UsageAsked, Query()]) -> Any:
        """Of this month unless asked otherwise; by the hour, so that periods have full ones."""
        page = await self._catalog.list_usage(current_principal(), asked.query, asked.page)
        return UsagesReply(
            usage=[UsageReply.of(one) for one in page.items], next_page_token=page.next_token
        )

    async def audit(self, asked: Annotated[AuditAsked, Query()]) -> Any:
        """The newest first; an entry was written together with what it tells about."""
        page = await self._catalog.list_audit_entries(current_principal(), asked.query, asked.page)
        return AuditReply(
            entries=[AuditEntryReply.of(one) for one in page.items],
            next_page_token=page.next_token,
        )

    async def sights(self, asked: Annotated[SightsAsked, Query()]) -> Any:
        """The newest first; one a call and document."""
        page = await self._catalog.list_sights(current_principal(), asked.query, asked.page)
        return SightsReply(
            sights=[SightReply.of(one) for one in page.items], next_page_token=page.next_token
        )
