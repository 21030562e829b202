"""One look at a tenant: it has what its resource says. A tenant outlives its resource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
    TenantKeptError,
)
from ragmesh.core.tenants import Budget, BudgetAction, NewTenant, Quota, Tenant, TenantChange
from ragmesh_operator.acting import OPERATOR, acting_for, drift, former_keeper, is_no_more
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
from ragmesh_operator.retelling import Retelling
from ragmesh_operator.schemas import TENANT
from ragmesh_operator.statuses import TenantStatus
from ragmesh_operator.telling import Teller
from ragmesh_operator.values import (
    Keeper,
    Key,
    Look,
    TenantResource,
    tenant_resource,
    tenant_status,
)

_CALLER = Machine(OPERATOR)


@dataclass(frozen=True, slots=True)
class TenantReconciler:
    """Carries RAGTenants out."""

    mesh: Mesh
    cluster: Resources
    clock: Clock
    retelling: Retelling[str] = field(default_factory=Retelling)

    async def reconcile(self, key: Key) -> Look:
        """Bring the tenant to what the resource says."""
        body = await self.cluster.read(key)
        if body is None:
            await self._let_go(key)
            self.retelling.forget(key)
            return Look(is_gone=True)
        try:
            wanted = tenant_resource(body, self.cluster.identity)
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
            if isinstance(error, TenantKeptError) and await self._take_over(wanted, error):
                return Look(is_moving=True)
            trouble = Trouble(camel(error.reason), error.message, passes=error.kind.transient)
        await self._tell(wanted, trouble, uid)
        return Look(is_moving=trouble is not None and trouble.passes)

    async def _settle(self, wanted: TenantResource) -> Tenant:
        new, found = new_tenant(wanted.key.name, wanted.spec), await self._find(wanted.key.name)
        now = self.clock.monotonic()
        left = self.retelling.left(wanted, now)
        if found is not None and _is_settled(wanted, new, found, left):
            return found
        await self._refuse_others(wanted)
        made = await self._write(acting_for(wanted), new, found)
        if made.kept_by is None and found is not None:
            self.retelling.told(wanted, found.kept_by, now)  # by a process of the former release
        if _was_settled(wanted):
            occurrence = drift("CreateTenant" if found is None else "UpdateTenant")
            await self.cluster.tell(wanted.key, wanted.uid, occurrence)
        return made

    async def _find(self, name: str) -> Tenant | None:
        try:
            return await self.mesh.get_tenant(_CALLER, name)
        except NotFoundError:
            return None

    async def _write(self, acting: Machine, new: NewTenant, found: Tenant | None) -> Tenant:
        if found is None:
            return await self.mesh.create_tenant(acting, new)
        change = replace(_settings_of(new), of_revision=found.revision)
        return await self.mesh.update_tenant(acting, new.name, change)

    async def _let_go(self, key: Key) -> None:
        """The resource is gone: whoever likes may change the tenant now.

        Who keeps it is read first: what is not there after that has not kept it since.
        """
        found = await self._find(key.name)
        kept_by = "" if found is None else found.kept_by or ""
        keeper = Keeper.parse(kept_by)
        was_it = (keeper.cluster, keeper.namespace) == (self.cluster.identity, key.namespace)
        if was_it and await self.cluster.read(key) is None:
            await self._release(key.name, kept_by)

    async def _take_over(self, wanted: TenantResource, error: TenantKeptError) -> bool:
        """Have the mesh forget a keeper that is no more; whether it was one."""
        kept_by = error.metadata.get("requester_uid", "")
        if not await is_no_more(kept_by, wanted, self.cluster):
            return False
        await self._release(wanted.key.name, kept_by)
        return True

    async def _release(self, name: str, kept_by: str) -> None:
        try:
            await self.mesh.release_tenant(former_keeper(kept_by), name)
        except (NotFoundError, TenantKeptError):
            return  # it went meanwhile, or another resource keeps it by now

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


def _is_settled(wanted: TenantResource, new: NewTenant, found: Tenant, left: str | None) -> bool:
    """Whether the tenant is as the resource says, and a mesh that keeps it for one knows so.

    Not what another keeps by now: of two clusters each would take it from the other for ever. Nor
    what a mesh that is being renewed was told, and a process of the former release took.
    """
    if _settings_of(found) != _settings_of(new):
        return False
    is_too_old_to_say = found.kept_by is None
    is_kept = found.kept_by != "" or left == ""
    return is_too_old_to_say or (is_kept and _was_settled(wanted))


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
