"""Errors about changing the index of a collection."""

from __future__ import annotations

from typing import Self

from ragmesh.core.errors.tree import (
    ConflictError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
)


class MigrationCommandRefusedError(PreconditionError):
    """The phase of the migration does not allow the command; the message says what it allows."""

    reason = "MIGRATION_COMMAND_REFUSED"


class MigrationChangedError(ConflictError):
    """The migration has moved on while it was being told what to do; look again."""

    reason = "MIGRATION_CHANGED"


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
            f"the custom resource {resource_uid} keeps the collection {collection}: change it "
            "there, or have an administrator release the collection if that resource is gone",
            metadata={"collection": collection, "requester_uid": resource_uid},
        )


class GoldenQuestionsMissingError(NotFoundError):
    """The collection keeps no golden questions."""

    reason = "GOLDEN_QUESTIONS_MISSING"


class RoutesStaleError(UnavailableError):
    """Nothing was heard of routes for longer than a route may be followed."""

    reason = "ROUTES_STALE"
