"""Carries single steps of a plan out, each safe to be done again after a kill."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from ragmesh.core.callers import Machine, Requester
from ragmesh.core.documents import CollectionChange
from ragmesh.core.errors import CollectionNotFoundError, InvalidError, RagmeshError
from ragmesh.core.migrations import MigrationCommand
from ragmesh_operator.planning import (
    Action,
    CreateCollection,
    DeleteCollection,
    KeepGolden,
    RecordOrder,
    ReleaseCollection,
    SendOrder,
    SetAccess,
    SetFinalizer,
    WantIndex,
    command_of,
)
from ragmesh_operator.ports import DRIFT, Mesh, Occurrence, Resources
from ragmesh_operator.resources import (
    BY_ANNOTATION,
    COMMAND_ANNOTATION,
    FINALIZER,
    REASON_ANNOTATION,
)
from ragmesh_operator.statuses import Order
from ragmesh_operator.values import CollectionResource, Keeper, Resource, collection_resource

OPERATOR = "operator"
_EVER = 2**63 - 1
MENDS = (CreateCollection, WantIndex, SetAccess)
"""Steps that are an occurrence where everything was carried out already."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Writes to mesh and cluster what plans say."""

    mesh: Mesh
    cluster: Resources

    async def act(self, step: Action, wanted: CollectionResource, tenant_uid: str) -> Order | None:
        """Carry one step out; the last command when the step was about one."""
        if isinstance(step, RecordOrder):
            await self._record(wanted, step.order)
            return step.order
        if isinstance(step, SendOrder):
            return await self._send(wanted, acting_for(wanted, tenant_uid), step.order)
        if isinstance(step, SetFinalizer):
            await self._set_finalizer(wanted, step)
        else:
            await self._tell_mesh(step, acting_for(wanted, tenant_uid), wanted.key.name)
        return None

    async def tell_drift(self, step: Action, wanted: CollectionResource) -> None:
        """Say that the mesh had changed although the resource had not."""
        await self.cluster.tell(wanted.key, wanted.uid, drift(type(step).__name__))

    async def release(self, name: str, acting: Machine) -> None:
        """Let anybody change a collection; one that is gone is nobody's."""
        await _if_there(self.mesh.release_collection(acting, name))

    async def _tell_mesh(self, step: Action, acting: Machine, name: str) -> None:
        match step:
            case CreateCollection(new):
                await self.mesh.create_collection(acting, new)
            case WantIndex(change):
                await self.mesh.want_index(acting, name, change)
            case SetAccess(access):
                await self.mesh.update_collection(
                    acting, name, CollectionChange(default_access=access)
                )
            case KeepGolden(golden):
                await self.mesh.set_golden_questions(acting, name, golden.content)
            case DeleteCollection():
                await _if_there(self.mesh.delete_collection(acting, name))
            case ReleaseCollection():
                await self.release(name, acting)

    async def _set_finalizer(self, wanted: CollectionResource, step: SetFinalizer) -> None:
        others = [one for one in wanted.finalizers if one != FINALIZER]
        finalizers = [*others, FINALIZER] if step.present else others
        version = wanted.resource_version
        was_there = await self.cluster.write_finalizers(wanted.key, version, finalizers)
        if step.incomplete and was_there:  # else its clean-up has ended just before
            sentence = "nobody could clean up in time: the documents stay in the mesh"
            told = Occurrence("CleanupIncomplete", sentence, is_warning=True)
            await self.cluster.tell(wanted.key, wanted.uid, told)

    async def _record(self, wanted: CollectionResource, order: Order) -> None:
        migration = wanted.status.migration.model_copy(update={"command": order})
        status = wanted.status.model_copy(update={"migration": migration})
        await self.cluster.write_status(wanted.key, wanted.resource_version, status)

    async def _send(self, wanted: CollectionResource, acting: Machine, order: Order) -> Order:
        """Send it, have the annotation go, write down what came of it.

        In this order: while the status says Sending the same command is sent again, and an
        annotation that is still there after that is a new one.
        """
        done = order.model_copy(update={"outcome": "Done"})
        try:
            why = ": ".join(part for part in (order.by, order.reason) if part)
            await self.mesh.command_once(
                acting, wanted.key.name, _known(order), reason=why, key=order.id
            )
        except RagmeshError as error:
            if error.kind.transient:
                raise
            done = order.model_copy(update={"outcome": "Refused", "message": error.message})
            told = Occurrence("CommandRefused", error.message, is_warning=True)
            await self.cluster.tell(wanted.key, wanted.uid, told)
        also = (BY_ANNOTATION, REASON_ANNOTATION)
        await self.cluster.take_annotations(wanted.key, COMMAND_ANNOTATION, order.command, also)
        body = await self.cluster.read(wanted.key)
        if body is not None:
            await self._record(collection_resource(body, self.cluster.identity), done)
        return done


def drift(step: str) -> Occurrence:
    """What is told when the mesh had changed although the resource had not."""
    told = f"{step}: the mesh had something else than the resource says"
    return Occurrence(DRIFT, told)


def acting_for(wanted: Resource[Any, Any], tenant_uid: str = "") -> Machine:
    """The operator, carrying this resource out."""
    return Machine(OPERATOR, tenant_uid, wanted.requester)


def former_keeper(uid: str, tenant_uid: str = "") -> Machine:
    """The operator, for a resource that is gone whatever state it last had."""
    return Machine(OPERATOR, tenant_uid, Requester(uid, _EVER))


async def is_no_more(kept_by: str, wanted: Resource[Any, Any], cluster: Resources) -> bool:
    """Whether a keeper was of this cluster and is gone, or is this resource under another name."""
    keeper = Keeper.parse(kept_by)
    if keeper.uid == wanted.uid:
        return True  # what tells clusters apart was renewed since
    is_ours = keeper.cluster == wanted.cluster and cluster.looks_after(keeper.namespace)
    if not is_ours:
        return False
    bodies = await cluster.list(wanted.key.plural)
    return all(body["metadata"]["uid"] != keeper.uid for body in bodies)


def _known(order: Order) -> MigrationCommand:
    command = command_of(order)
    if command is None:
        known = ", ".join(one.value for one in MigrationCommand)
        raise InvalidError.of("command", f"{order.command[:40]!r} is none of {known}")
    return command


async def _if_there(call: Awaitable[object]) -> None:
    try:
        await call
    except CollectionNotFoundError:
        return
