"""What a mesh has of a collection, and what the cluster says it is to be judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from ragmesh.core.callers import Machine
from ragmesh.core.errors import (
    CollectionNotFoundError,
    GoldenQuestionsMissingError,
    NotFoundError,
)
from ragmesh_operator.acting import OPERATOR, acting_for
from ragmesh_operator.ports import Mesh, Resources
from ragmesh_operator.values import CollectionResource, GoldenSet, Seen


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads and writes nothing."""

    mesh: Mesh
    cluster: Resources

    async def see(self, wanted: CollectionResource) -> Seen:
        """Everything that a plan or a status needs."""
        try:
            tenant = await self.mesh.get_tenant(Machine(OPERATOR), wanted.spec.tenant)
        except NotFoundError:
            return Seen(tenant_uid="")
        golden, missing = await self._golden(wanted)
        seen = Seen(tenant.uid, golden=golden, golden_missing=missing)
        acting, name = acting_for(wanted, tenant.uid), wanted.key.name
        try:
            return replace(
                seen,
                collection=await self.mesh.get_collection(acting, name),
                migration=await self.mesh.get_migration(acting, name),
                golden_digest=await self._kept(acting, name) if golden else "",
            )
        except CollectionNotFoundError:
            return seen

    async def _golden(self, wanted: CollectionResource) -> tuple[GoldenSet | None, bool]:
        """What the ConfigMap holds, and whether one is named and not there."""
        named = wanted.spec.evaluation.golden_queries
        if named is None:
            return None, False
        place = named.config_map_ref
        content = await self.cluster.config_text(wanted.key.namespace, place.name, place.key)
        if content is None:
            return None, True
        return GoldenSet(content, sha256(content.encode()).hexdigest()), False

    async def _kept(self, acting: Machine, name: str) -> str:
        try:
            return (await self.mesh.get_golden_questions(acting, name)).digest
        except GoldenQuestionsMissingError:
            return ""
