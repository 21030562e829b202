"""One look at a tenant: it has what its resource says. A tenant outlives its resource."""

from __future__ import annotations

from dataclasses import dataclass

from ragmesh.core.callers import Machine
from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    ConflictError,
    NotFoundError,
    RagmeshError,
    TenantExistsError,
)
from ragmesh.core.tenants import Budget, BudgetAction, NewTenant, Quota, Tenant, TenantChange
from ragmesh_operator.acting import OPERATOR
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.reporting import (
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
from ragmesh_operator.values import Key, Look, TenantResource, tenant_resource


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
        wanted = tenant_resource(body, TENANT.plural)
        if wanted.spec.paused or wanted.deleted_at is not None:
            return Look()
        trouble, uid = None, wanted.status.uid
        try:
            uid = (await self._settle(wanted)).uid
        except RagmeshError as error:
            trouble = Trouble(camel(error.reason), error.message, passes=error.kind.transient)
        await self._tell(wanted, trouble, uid)
        return Look(is_moving=trouble is not None and trouble.passes)

    async def _settle(self, wanted: TenantResource) -> Tenant:
        caller, name = Machine(OPERATOR), wanted.key.name
        new = new_tenant(name, wanted.spec)
        try:
            found = await self.mesh.get_tenant(caller, name)
        except NotFoundError:
            return await self.mesh.create_tenant(caller, new)
        change = TenantChange(new.display_name, new.quota, new.budget, new.retention_days)
        there = TenantChange(found.display_name, found.quota, found.budget, found.retention_days)
        if change == there:
            return found
        await self._refuse_younger(wanted)
        return await self.mesh.update_tenant(caller, name, change)

    async def _refuse_younger(self, wanted: TenantResource) -> None:
        """Raise when an elder resource of the same name says what the tenant is.

        A mesh has one tenant of a name, and a cluster a resource in each namespace: two that said
        different things would change it to and fro for ever.
        """
        bodies = await self.cluster.list(TENANT.plural)
        named = [body["metadata"] for body in bodies if body["metadata"]["name"] == wanted.key.name]
        first = min(
            named, key=lambda one: (one["creationTimestamp"], one["namespace"]), default=None
        )
        if first is not None and first["uid"] != wanted.uid:
            raise TenantExistsError(
                f"the RAGTenant {wanted.key.name} of the namespace {first['namespace']} is older"
            )

    async def _tell(self, wanted: TenantResource, trouble: Trouble | None, uid: str) -> None:
        verdicts = dict(
            zip((READY, RECONCILING, STALLED), progress_of(trouble, "Settled"), strict=True)
        )
        status = TenantStatus(
            observed_generation=wanted.generation,
            conditions=conditions_of(
                wanted.status.conditions, wanted.generation, verdicts, self.clock.now()
            ),
            uid=uid,
        )
        if status == wanted.status:
            return
        try:
            await self.cluster.write_status(wanted.key, wanted.resource_version, status)
        except ConflictError:
            return  # it was changed meanwhile, and is looked at again


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
