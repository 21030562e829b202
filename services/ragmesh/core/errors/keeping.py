"""Errors about what a custom resource keeps."""

from __future__ import annotations

from typing import Self

from ragmesh.core.errors.tree import PreconditionError


class RequesterOutdatedError(PreconditionError):
    """An older state of a custom resource asks than the one that asked last."""

    reason = "REQUESTER_OUTDATED"


class CollectionKeptError(PreconditionError):
    """A custom resource keeps the collection; its settings are changed there, and nowhere else."""

    reason = "COLLECTION_KEPT"

    @classmethod
    def by(cls, resource_uid: str, collection: str) -> Self:
        """The refusal to whoever is not that resource."""
        return cls(
            _sentence("collection", collection, resource_uid),
            metadata={"collection": collection, "requester_uid": resource_uid},
        )


class TenantKeptError(PreconditionError):
    """A custom resource keeps the tenant; its settings are changed there, and nowhere else."""

    reason = "TENANT_KEPT"

    @classmethod
    def by(cls, resource_uid: str, tenant: str) -> Self:
        """The refusal to whoever is not that resource."""
        return cls(
            _sentence("tenant", tenant, resource_uid),
            metadata={"tenant": tenant, "requester_uid": resource_uid},
        )


def _sentence(what: str, name: str, resource_uid: str) -> str:
    return (
        f"the custom resource {resource_uid} keeps the {what} {name}: change it there, or have an "
        f"administrator release the {what} if that resource is gone"
    )
