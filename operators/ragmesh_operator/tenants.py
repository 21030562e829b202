"""One look at a tenant: it has what its resource says. A tenant outlives its resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    InvalidError,
    NotFoundError,
    RagmeshError,
    RequesterOutdatedError,
    TenantChangedError,
    TenantExistsError,
)
from ragmesh.core.tenants import Budget, BudgetAction, NewTenant, Quota, Tenant, TenantChange
from ragmesh_operator.acting import OPERATOR, drift
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.reporting import (
    NOT_UNDERSTOOD,
    READY,
    RECONCILING,
    STALLED,
    Trouble,
    camel,
    conditions_of,
    progress_of,
)
from ragmesh_operator.resources import TenantSpec
from ragmesh_operator.schemas import TENANT
from ragmesh_operator.statuses import TenantStatus
from ragmesh_operator.telling import Teller
from ragmesh_operator.values import Key, Look, TenantResource, tenant_resource, tenant_status

_CALLER = Machine(OPERATOR)


@dataclass(frozen=True, slots=True)
class TenantReconciler:
    """Carries RAGTenants out."""

    mesh: Mesh
    cluster: Resources
    clock: Clock

    async def reconcile(self, key: Key) -> Look:
        """Bring the tenant to what the resource says."""
        body = await self.cluster.read(key)
        if body is None:
            return Look(is_gone=True)
        try:
            wanted = tenant_resource(body, TENANT.plural)
        except InvalidError as error:
            await self._tell_mistakes(key, body, error)
            return Look()
        if wanted.spec.paused or wanted.deleted_at is not None:
            return Look()
        trouble, uid = None, wanted.status.uid
        try:
            uid = (await self._settle(wanted)).uid
        except (RequesterOutdatedError, TenantChangedError):
            return Look(is_moving=True)  # as it is now it is looked at again
        except RagmeshError as error:
            trouble = Trouble(camel(error.reason), error.message, passes=error.kind.transient)
        await self._tell(wanted, trouble, uid)
        return Look(is_moving=trouble is not None and trouble.passes)

    async def _settle(self, wanted: TenantResource) -> Tenant:
        new, found = new_tenant(wanted.key.name, wanted.spec), await self._find(wanted.key.name)
        if found is not None and _settings_of(found) == _settings_of(new):
            return found
        await self._refuse_others(wanted)
        made = await self._write(new, found)
        if _was_settled(wanted):
            occurrence = drift("CreateTenant" if found is None else "UpdateTenant")
            await self.cluster.tell(wanted.key, wanted.uid, occurrence)
        return made

    async def _find(self, name: str) -> Tenant | None:
        try:
            return await self.mesh.get_tenant(_CALLER, name)
        except NotFoundError:
            return None

    async def _write(self, new: NewTenant, found: Tenant | None) -> Tenant:
        if found is None:
            return await self.mesh.create_tenant(_CALLER, new)
        change = replace(_settings_of(new), of_revision=found.revision)
        return await self.mesh.update_tenant(_CALLER, new.name, change)

    async def _refuse_others(self, wanted: TenantResource) -> None:
        """Raise unless the resource, as it was read, is what says what the tenant is.

        A mesh has one tenant of a name, and a cluster a resource in each namespace: two that said
        different things would change it to and fro for ever. And whoever slept since they read it
        must not write what it said then. The tenant was read before this: if a newer state of the
        resource is written after that, the mesh refuses what is written by this one.
        """
        bodies = await self.cluster.list(TENANT.plural)
        named = [body["metadata"] for body in bodies if body["metadata"]["name"] == wanted.key.name]
        _refuse_outdated(wanted, named)
        first = min(named, key=lambda one: (one["creationTimestamp"], one["namespace"]))
        if first["uid"] != wanted.uid:
            raise TenantExistsError(
                f"the RAGTenant {wanted.key.name} of the namespace {first['namespace']} is older"
            )

    async def _tell(self, wanted: TenantResource, trouble: Trouble | None, uid: str) -> None:
        status = self._status(wanted.status, wanted.generation, trouble, uid)
        await Teller.of(self.cluster, wanted).tell(wanted.status, status)

    async def _tell_mistakes(self, key: Key, body: Mapping[str, Any], error: InvalidError) -> None:
        """Say why nothing is done for it, for as long as that is so."""
        metadata, known = body["metadata"], tenant_status(body)
        if "deletionTimestamp" in metadata or body["spec"].get("paused") is True:
            return
        trouble = Trouble(NOT_UNDERSTOOD, error.message, passes=False)
        status = self._status(known, metadata["generation"], trouble, known.uid)
        teller = Teller.of_body(self.cluster, key, body)
        await teller.tell_mistakes(known, status, error.message)

    def _status(
        self, known: TenantStatus, generation: int, trouble: Trouble | None, uid: str
    ) -> TenantStatus:
        verdicts = dict(
            zip((READY, RECONCILING, STALLED), progress_of(trouble, "Settled"), strict=True)
        )
        conditions = conditions_of(known.conditions, generation, verdicts, self.clock.now())
        return TenantStatus(observed_generation=generation, conditions=conditions, uid=uid)


def _refuse_outdated(wanted: TenantResource, metadata: Iterable[Mapping[str, Any]]) -> None:
    for one in metadata:
        if (one["uid"], one["generation"]) == (wanted.uid, wanted.generation):
            return
    raise RequesterOutdatedError(f"the RAGTenant {wanted.key.name} was changed meanwhile")


def _was_settled(wanted: TenantResource) -> bool:
    """Whether the tenant was as this very generation says."""
    known = {one.type: one.status for one in wanted.status.conditions}
    return wanted.status.observed_generation == wanted.generation and known.get(READY) == "True"


def _settings_of(one: Tenant | NewTenant) -> TenantChange:
    return TenantChange(one.display_name, one.quota, one.budget, one.retention_days)


def new_tenant(name: str, spec: TenantSpec) -> NewTenant:
    """The tenant that a resource asks for."""
    return NewTenant(
        name=name,
        display_name=spec.display_name,
        quota=Quota(
            requests_per_minute=spec.quota.requests_per_minute,
            in_flight=spec.quota.in_flight,
            documents=spec.quota.documents,
            storage_bytes=spec.quota.storage_bytes,
        ),
        budget=Budget(spec.budget.monthly_dollars, BudgetAction(spec.budget.on_exceeded.lower())),
        retention_days=spec.retention.days,
    )
