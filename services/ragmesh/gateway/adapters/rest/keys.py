"""Keys and tenants over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from ragmesh.chassis.callers import current_principal
from ragmesh.core.errors import (
    ControlCharactersError,
    DefaultTenantError,
    InvalidNameError,
    KeyEndedError,
    KeyNotFoundError,
    SecretSpentError,
    TenantExistsError,
    TenantKeptError,
    TenantNotFoundError,
)
from ragmesh.core.tenants import (
    ApiKey,
    Budget,
    BudgetAction,
    KeyChange,
    NewKey,
    NewTenant,
    Quota,
    Tenant,
    TenantChange,
)
from ragmesh.gateway.adapters.rest import examples
from ragmesh.gateway.adapters.rest.bodies import Body, ReleaseBody
from ragmesh.gateway.adapters.rest.context import Context, PageSize, PageToken, page_request
from ragmesh.gateway.adapters.rest.refusals import BODY, CHANGE, PAGE, Errors, problems
from ragmesh.gateway.adapters.rest.replies import optional
from ragmesh.gateway.adapters.rest.shapes import shown

KeyId = Annotated[str, Path(description="Id of the key.", examples=[examples.KEY["key_id"]])]
TenantName = Annotated[str, Path(description="Name of the tenant.", examples=["acme"])]
OfTenant = Annotated[str, Query(description="Only keys of this tenant.")]
Scope = Literal["read", "write", "admin"]

_CHANGE: Errors = (*BODY, *CHANGE, ControlCharactersError)
_KEY: Errors = (KeyNotFoundError, KeyEndedError)
_TENANT: Errors = (TenantNotFoundError,)
# Asked again with its idempotency key, what was made and deleted since is not found.
_NEW_TENANT: Errors = (InvalidNameError, TenantExistsError, *_TENANT)
_ROTATION: Errors = (*_CHANGE, *_KEY, SecretSpentError)
_CHANGED_TENANT: Errors = (*_CHANGE, *_TENANT, TenantKeptError)
_END: Errors = (*CHANGE, *_TENANT, DefaultTenantError, TenantKeptError)


class QuotaPart(Body):
    """What a tenant may use; 0 for no limit of its own."""

    requests_per_minute: int = Field(0, ge=0, le=2**31 - 1)
    in_flight: int = Field(0, ge=0, le=2**31 - 1)
    documents: int = Field(0, ge=0, le=2**53)
    storage_bytes: int = Field(0, ge=0, le=2**53)

    @property
    def quota(self) -> Quota:
        """The value."""
        return Quota(self.requests_per_minute, self.in_flight, self.documents, self.storage_bytes)


class BudgetPart(Body):
    """What a tenant may spend in a calendar month (UTC); 0 for no limit."""

    monthly_dollars: float = Field(0, ge=0, le=1e12)
    on_exceeded: Literal["refuse", "degrade"] = "refuse"

    @property
    def budget(self) -> Budget:
        """The value."""
        return Budget(self.monthly_dollars, BudgetAction(self.on_exceeded))


class TenantBody(Body):
    """A tenant to make."""

    name: str = Field(examples=["acme"])
    display_name: str = ""
    quota: QuotaPart = QuotaPart()
    budget: BudgetPart = BudgetPart()
    retention_days: int = Field(0, ge=0, le=36_500)


class TenantPatch(Body):
    """What of a tenant changes."""

    display_name: str | None = Field(None, examples=["Acme Ltd"])
    quota: QuotaPart | None = None
    budget: BudgetPart | None = None
    retention_days: int | None = Field(None, ge=0, le=36_500)


class TenantReply(BaseModel):
    """An owner of collections."""

    model_config = shown(examples.TENANT)

    name: str
    uid: str
    display_name: str
    quota: QuotaPart
    budget: BudgetPart
    retention_days: int
    created_at: datetime
    updated_at: datetime
    kept_by: str = Field(
        "", description="The custom resource that keeps the tenant; empty for none."
    )

    @classmethod
    def of(cls, tenant: Tenant) -> TenantReply:
        """The tenant as it is shown."""
        quota, budget = tenant.quota, tenant.budget
        return cls(
            name=tenant.name,
            uid=tenant.uid,
            display_name=tenant.display_name,
            quota=QuotaPart(
                requests_per_minute=quota.requests_per_minute,
                in_flight=quota.in_flight,
                documents=quota.documents,
                storage_bytes=quota.storage_bytes,
            ),
            budget=BudgetPart(
                monthly_dollars=budget.monthly_dollars, on_exceeded=budget.on_exceeded.value
            ),
            retention_days=tenant.retention_days,
            created_at=tenant.created_at,
            updated_at=tenant.updated_at,
            kept_by=tenant.kept_by or "",
        )


class TenantsReply(BaseModel):
    """A page of tenants, by name."""

    model_config = shown({"tenants": [examples.TENANT], "next_page_token": ""})

    tenants: list[TenantReply]
    next_page_token: str


class KeyBody(Body):
    """A key to make."""

    tenant: str = Field(description="Name of its tenant.", examples=["acme"])
    subject: str = Field(description="Who uses it.", examples=["search-page"])
    groups: list[str] = Field([], description="Groups its user belongs to.")
    roles: list[Scope] = Field(["read"], description="What it may do.")
    expires_at: AwareDatetime | None = Field(None, description="From when on it is refused.")


class KeyPatch(Body):
    """What of a key changes."""

    groups: list[str] | None = Field(None, examples=[["staff"]])
    roles: list[Scope] | None = None


class RevokeBody(Body):
    """Why a key is revoked."""

    reason: str = Field("", description="Goes into the audit.", examples=["lost"])


class RotateBody(Body):
    """How a key is rotated."""

    overlap_seconds: int = Field(
        3_600, ge=0, le=7_776_000, description="The old key stays good.", examples=[3_600]
    )


class KeyReply(BaseModel):
    """A key without its secret."""

    model_config = shown(examples.KEY)

    key_id: str
    prefix: str = Field(description="How the key begins.")
    tenant: str
    subject: str
    groups: list[str]
    roles: list[str]
    created_at: datetime
    expires_at: datetime | None = optional("From when on it is refused.")
    revoked_at: datetime | None = optional("When it was revoked.")
    secret: str | None = optional("The whole key; told only when it is made.")

    @classmethod
    def of(cls, key: ApiKey, secret: str | None = None) -> KeyReply:
        """The key as it is shown."""
        return cls(
            key_id=key.key_id,
            prefix=key.prefix,
            tenant=key.tenant,
            subject=key.subject,
            groups=list(key.groups),
            roles=list(key.roles),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            secret=secret,
        )


class KeysReply(BaseModel):
    """A page of keys, by id."""

    model_config = shown({"keys": [examples.KEY], "next_page_token": ""})

    keys: list[KeyReply]
    next_page_token: str


class KeyRoutes:
    """Translates calls about keys and tenants."""

    def __init__(self, context: Context) -> None:
        self._service = context.service
        self._catalog = context.service.catalog

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["Administration"])
        routes: tuple[tuple[str, str, Callable[..., Any], int, Errors], ...] = (
            ("POST", "/keys", self.create_key, 201, (*_CHANGE, *_TENANT, SecretSpentError)),
            ("GET", "/keys", self.list_keys, 200, (*PAGE, *_TENANT)),
            ("PATCH", "/keys/{key_id}", self.update_key, 200, (*_CHANGE, *_KEY)),
            ("POST", "/keys/{key_id}:revoke", self.revoke_key, 200, (*_CHANGE, *_KEY)),
            ("POST", "/keys/{key_id}:rotate", self.rotate_key, 200, _ROTATION),
            ("POST", "/tenants", self.create_tenant, 201, (*_CHANGE, *_NEW_TENANT)),
            ("GET", "/tenants", self.list_tenants, 200, PAGE),
            ("GET", "/tenants/{tenant}", self.get_tenant, 200, _TENANT),
            ("PATCH", "/tenants/{tenant}", self.update_tenant, 200, _CHANGED_TENANT),
            ("POST", "/tenants/{tenant}:release", self.release_tenant, 204, (*_CHANGE, *_TENANT)),
            ("DELETE", "/tenants/{tenant}", self.delete_tenant, 204, _END),
        )
        for method, path, endpoint, status, errors in routes:
            router.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                responses=problems(*errors),
                response_model_exclude_none=True,
                summary=endpoint.__name__.replace("_", " ").capitalize(),
            )
        return router

    async def create_key(self, body: KeyBody) -> KeyReply:
        """Make a key for one's own tenant, or for any with the key that runs the mesh."""
        new = NewKey(
            body.tenant, body.subject, tuple(body.groups), tuple(body.roles), body.expires_at
        )
        return KeyReply.of(*await self._service.create_key(current_principal(), new))

    async def list_keys(
        self, tenant: OfTenant = "", page_size: PageSize = 0, page_token: PageToken = ""
    ) -> KeysReply:
        """List keys by id, without secrets."""
        page = await self._catalog.list_keys(
            current_principal(), tenant, page_request(page_size, page_token)
        )
        return KeysReply(
            keys=[KeyReply.of(key) for key in page.items], next_page_token=page.next_token
        )

    async def update_key(self, key_id: KeyId, body: KeyPatch) -> KeyReply:
        """Give a key other groups or roles; in force within 5 seconds."""
        change = KeyChange(
            None if body.groups is None else tuple(body.groups),
            None if body.roles is None else tuple(body.roles),
        )
        return KeyReply.of(await self._catalog.update_key(current_principal(), key_id, change))

    async def revoke_key(self, key_id: KeyId, body: RevokeBody) -> KeyReply:
        """Make a key useless within 5 seconds."""
        caller = current_principal()
        return KeyReply.of(await self._catalog.revoke_key(caller, key_id, reason=body.reason))

    async def rotate_key(self, key_id: KeyId, body: RotateBody) -> KeyReply:
        """Make the successor of a key; the old one stays good for the overlap."""
        made = await self._service.rotate_key(
            current_principal(), key_id, overlap_seconds=body.overlap_seconds
        )
        return KeyReply.of(*made)

    async def create_tenant(self, body: TenantBody) -> TenantReply:
        """Make a tenant; for the key that runs the mesh."""
        new = NewTenant(
            body.name,
            body.display_name,
            body.quota.quota,
            body.budget.budget,
            body.retention_days,
        )
        return TenantReply.of(await self._catalog.create_tenant(current_principal(), new))

    async def list_tenants(
        self, page_size: PageSize = 0, page_token: PageToken = ""
    ) -> TenantsReply:
        """List the tenants that the caller runs, by name."""
        page = await self._catalog.list_tenants(
            current_principal(), page_request(page_size, page_token)
        )
        return TenantsReply(
            tenants=[TenantReply.of(tenant) for tenant in page.items],
            next_page_token=page.next_token,
        )

    async def get_tenant(self, tenant: TenantName) -> TenantReply:
        """Show a tenant and its limits."""
        return TenantReply.of(await self._catalog.get_tenant(current_principal(), tenant))

    async def update_tenant(self, tenant: TenantName, body: TenantPatch) -> TenantReply:
        """Change what is given; for the key that runs the mesh."""
        change = TenantChange(
            body.display_name,
            None if body.quota is None else body.quota.quota,
            None if body.budget is None else body.budget.budget,
            body.retention_days,
        )
        caller = current_principal()
        return TenantReply.of(await self._catalog.update_tenant(caller, tenant, change))

    async def release_tenant(self, tenant: TenantName, body: ReleaseBody) -> Response:
        """Have no custom resource keep a tenant; one that is still there takes it back."""
        await self._catalog.release_tenant(current_principal(), tenant, reason=body.reason)
        return Response(status_code=204)

    async def delete_tenant(self, tenant: TenantName) -> Response:
        """Delete a tenant with its keys, collections and documents."""
        await self._catalog.delete_tenant(current_principal(), tenant)
        return Response(status_code=204)
