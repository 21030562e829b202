"""One look at a collection: see, plan, act, and look again until there is nothing to do; then tell.

Every write carries what it was decided on: the catalog is told the resource and its generation,
the cluster the version of the resource that was read. A process that slept changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ragmesh.core.clock import Clock
from ragmesh.core.errors import (
    CollectionKeptError,
    ConflictError,
    InvalidError,
    RagmeshError,
    RequesterOutdatedError,
)
from ragmesh.core.migrations import MigrationPolicy
from ragmesh_operator.acting import MENDS, Actor, acting_for, former_keeper, is_no_more
from ragmesh_operator.planning import SetFinalizer, WantIndex, is_overdue, plan, plan_orders
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.reporting import (
    Outcome,
    Scaling,
    Trouble,
    camel,
    not_understood,
    status_of,
)
from ragmesh_operator.resources import FINALIZER
from ragmesh_operator.retelling import Retelling
from ragmesh_operator.seeing import Observer
from ragmesh_operator.statuses import Order
from ragmesh_operator.telling import Teller
from ragmesh_operator.values import (
    CollectionResource,
    Key,
    Look,
    Seen,
    collection_resource,
    collection_status,
)

_ROUNDS = 12
"""More than any plan takes; what never comes to rest is looked at again later."""


class Scaler(Protocol):
    """What scales the indexers."""

    def shown(self, wanted: CollectionResource) -> Scaling:
        """What is known of it, for the status of a collection."""


@dataclass(slots=True)
class _Pass:
    """What is known while one look goes on."""

    wanted: CollectionResource
    seen: Seen | None = None
    order: Order | None = None
    applied: int = 0
    """Generation that the mesh had taken before."""
    trouble: Trouble | None = None
    """Why all but commands is left."""

    def take(self, again: CollectionResource, *, applied: int) -> None:
        """Go on with the resource as it is by now, and with what the mesh has taken of it."""
        status = again.status.model_copy(update={"applied_generation": applied})
        self.wanted = replace(again, status=status)


@dataclass(frozen=True, slots=True)
class CollectionReconciler:
    """Carries RAGCollections out."""

    mesh: Mesh
    cluster: Resources
    scaler: Scaler
    clock: Clock
    retelling: Retelling[MigrationPolicy] = field(default_factory=Retelling)

    async def reconcile(self, key: Key) -> Look:
        """Bring the mesh to what the resource says, and the status to what the mesh says."""
        body = await self.cluster.read(key)
        if body is None:
            self.retelling.forget(key)
            return Look(is_gone=True)
        try:
            wanted = self.understood(body)
        except InvalidError as error:
            if "deletionTimestamp" not in body["metadata"]:
                await self._tell_mistakes(key, body, error)
            return Look()
        status = wanted.status
        now = _Pass(wanted, order=status.migration.command, applied=status.applied_generation)
        try:
            outcome = await self._carry_out(now)
        except RequesterOutdatedError:
            return Look(is_moving=True)  # another process knows a newer state: it tells, not we
        if outcome is None:
            return Look(is_gone=True)
        if now.wanted.deleted_at is None:
            await self._tell(now.wanted, outcome)
        migration = None if outcome.seen is None else outcome.seen.migration
        goes_on = migration is not None and not migration.phase.rests
        return Look(is_moving=goes_on or outcome.may_pass)

    async def give_up_overdue(self, key: Key) -> bool:
        """Let the resource go without a clean-up, if it has waited for one for long enough.

        Whether it still waited for one.
        """
        body = await self.cluster.read(key)
        if body is None or FINALIZER not in body["metadata"].get("finalizers", ()):
            return False
        try:
            wanted = self.understood(body)
        except InvalidError:
            wanted = self.understood({**body, "spec": {}})
        if is_overdue(wanted, self.clock.now()):
            await self._let_end(wanted, SetFinalizer(present=False, incomplete=True))
        return True

    async def let_go(self, last: CollectionResource) -> None:
        """The resource is gone without a finalizer: whoever likes may change the collection now."""
        seen = await Observer(self.mesh, self.cluster).see(last)
        if seen.collection is None:
            return
        try:
            acting = acting_for(last, seen.tenant_uid)
            await Actor(self.mesh, self.cluster).release(last.key.name, acting)
        except CollectionKeptError:
            return  # a resource of the same name keeps it by now

    async def _read(self, key: Key) -> CollectionResource | None:
        body = await self.cluster.read(key)
        return None if body is None else self.understood(body)

    def understood(self, body: Mapping[str, Any]) -> CollectionResource:
        """The resource of this cluster; InvalidError if it is not understood."""
        return collection_resource(body, self.cluster.identity)

    async def _carry_out(self, now: _Pass) -> Outcome | None:
        """Plan and act until nothing is left, or something is in the way; None = it is gone."""
        for _ in range(_ROUNDS):
            try:
                if await self._step(now):
                    return _at_rest(now)
            except RequesterOutdatedError:
                raise
            except CollectionKeptError as error:
                if not await self._take_over(now, error):
                    await self._leave_to_others(now.wanted)
                    return Outcome(now.seen, _trouble(error), now.order)
            except ConflictError:
                pass  # it was changed meanwhile: as it is now, perhaps nothing is in the way
            except RagmeshError as error:
                if now.trouble is not None or error.kind.transient:
                    return Outcome(now.seen, _trouble(error), now.order)
                now.trouble = _trouble(error)
            again = await self._read(now.wanted.key)
            if again is None or again.uid != now.wanted.uid:
                return None
            now.take(again, applied=now.wanted.status.applied_generation)
        return Outcome(now.seen, now.trouble, now.order)

    async def _step(self, now: _Pass) -> bool:
        """Look, plan and act once; whether nothing was left to do."""
        seen = now.seen = await self._see(now.wanted)
        planned = plan if now.trouble is None else plan_orders
        steps = planned(now.wanted, seen)
        actor = Actor(self.mesh, self.cluster)
        for step in steps:
            now.order = await actor.act(step, now.wanted, seen.tenant_uid) or now.order
            if isinstance(step, MENDS) and now.applied == now.wanted.generation:
                await actor.tell_drift(step, now.wanted)
            if isinstance(step, WantIndex):
                found = None if seen.migration is None else seen.migration.policy
                self.retelling.told(now.wanted, found, self.clock.monotonic())
                now.take(now.wanted, applied=now.wanted.generation)
        return not steps

    async def _see(self, wanted: CollectionResource) -> Seen:
        seen = await Observer(self.mesh, self.cluster).see(wanted)
        return replace(seen, left=self.retelling.left(wanted, self.clock.monotonic()))

    async def _leave_to_others(self, wanted: CollectionResource) -> None:
        """What another resource keeps has never been of this one: nothing is left to clean up."""
        if wanted.deleted_at is not None:
            await self._let_end(wanted, SetFinalizer(present=False))

    async def _let_end(self, wanted: CollectionResource, gone: SetFinalizer) -> None:
        if FINALIZER in wanted.finalizers:
            await Actor(self.mesh, self.cluster).act(gone, wanted, "")

    async def _take_over(self, now: _Pass, error: CollectionKeptError) -> bool:
        """Have the mesh forget a keeper that is no more; whether it was one."""
        kept_by = error.metadata.get("requester_uid", "")
        if now.seen is None or not await is_no_more(kept_by, now.wanted, self.cluster):
            return False
        acting = former_keeper(kept_by, now.seen.tenant_uid)
        await Actor(self.mesh, self.cluster).release(now.wanted.key.name, acting)
        return True

    async def _tell(self, wanted: CollectionResource, outcome: Outcome) -> None:
        if wanted.spec.paused and wanted.status.conditions:
            return  # what is told of a new one, so that nobody waits for it in vain, is told once
        status = status_of(wanted, outcome, self.scaler.shown(wanted), self.clock.now())
        await Teller.of(self.cluster, wanted).tell(wanted.status, status)

    async def _tell_mistakes(self, key: Key, body: Mapping[str, Any], error: InvalidError) -> None:
        """Say why nothing is done for it, for as long as that is so."""
        if body["spec"].get("paused") is True:
            return
        known, generation = collection_status(body), body["metadata"]["generation"]
        status = not_understood(known, generation, error.message, self.clock.now())
        teller = Teller.of_body(self.cluster, key, body)
        await teller.tell_mistakes(known, status, error.message)


def _at_rest(now: _Pass) -> Outcome:
    if now.trouble is not None:
        return Outcome(now.seen, now.trouble, now.order)
    if now.seen is None or now.seen.tenant_uid:
        return Outcome(now.seen, None, now.order, settled=True)
    message = f"there is no tenant {now.wanted.spec.tenant}"
    return Outcome(now.seen, Trouble("TenantMissing", message, passes=True), now.order)


def _trouble(error: RagmeshError) -> Trouble:
    return Trouble(camel(error.reason), error.message, passes=error.kind.transient)
