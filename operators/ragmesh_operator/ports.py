"""What the operator needs of a mesh and of a cluster, as Protocols that it names itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ragmesh.core.callers import Machine
from ragmesh.core.documents import Collection, CollectionChange, NewCollection
from ragmesh.core.migrations import GoldenQuestions, IndexChange, Migration, MigrationCommand
from ragmesh.core.tenants import NewTenant, Tenant, TenantChange
from ragmesh_operator.resources import Part
from ragmesh_operator.values import Key


class Mesh(Protocol):
    """The catalog of a mesh; satisfied by a part of ragmesh's client of indexing."""

    async def get_tenant(self, caller: Machine, name: str) -> Tenant: ...

    async def create_tenant(self, caller: Machine, new: NewTenant) -> Tenant: ...

    async def update_tenant(self, caller: Machine, name: str, change: TenantChange) -> Tenant: ...

    async def release_tenant(self, caller: Machine, name: str) -> None: ...

    async def get_collection(self, caller: Machine, name: str) -> Collection: ...

    async def create_collection(self, caller: Machine, new: NewCollection) -> Collection: ...

    async def update_collection(
        self, caller: Machine, name: str, change: CollectionChange
    ) -> Collection: ...

    async def delete_collection(self, caller: Machine, name: str) -> None: ...

    async def get_migration(self, caller: Machine, collection: str) -> Migration: ...

    async def want_index(
        self, caller: Machine, collection: str, change: IndexChange
    ) -> Migration: ...

    async def release_collection(self, caller: Machine, collection: str) -> None: ...

    async def command_once(
        self, caller: Machine, collection: str, command: MigrationCommand, *, reason: str, key: str
    ) -> None:
        """Tell a migration what to do; with the same key it is told once."""

    async def get_golden_questions(self, caller: Machine, collection: str) -> GoldenQuestions: ...

    async def set_golden_questions(
        self, caller: Machine, collection: str, content: str
    ) -> GoldenQuestions: ...


DRIFT = "DriftCorrected"
"""Something was not as it had been left, and is so again."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What is told about a resource beside its status."""

    reason: str
    message: str
    is_warning: bool = False


class Resources(Protocol):
    """Custom resources and what they name, in a cluster.

    A write is refused with ConflictError when the resource was changed since it was read.
    """

    @property
    def identity(self) -> str:
        """Which cluster it is: two clusters have two."""

    def looks_after(self, namespace: str) -> bool:
        """Whether the resources of a namespace are among those that are listed."""

    async def read(self, key: Key) -> Mapping[str, Any] | None:
        """The resource as it is now; None = it is gone."""

    async def list(self, plural: str) -> Sequence[Mapping[str, Any]]:
        """All resources of a kind in the namespaces that the operator looks after."""

    async def write_status(self, key: Key, resource_version: str, status: Part) -> None:
        """Own the status as a whole."""

    async def write_finalizers(
        self, key: Key, resource_version: str, finalizers: Sequence[str]
    ) -> bool:
        """Replace the finalizers; False = the resource is gone."""

    async def take_annotations(
        self, key: Key, name: str, value: str, others: Sequence[str]
    ) -> bool:
        """Remove an annotation, and others with it, unless its value is another by now."""

    async def config_text(self, namespace: str, name: str, key: str) -> str | None:
        """What a ConfigMap holds under a key; None = nothing."""

    async def tell(self, key: Key, uid: str, what: Occurrence) -> None:
        """Make an event of it."""
