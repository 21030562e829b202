"""Errors about changing the index of a collection."""

from __future__ import annotations

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


class GoldenQuestionsMissingError(NotFoundError):
    """The collection keeps no golden questions."""

    reason = "GOLDEN_QUESTIONS_MISSING"


class RoutesStaleError(UnavailableError):
    """Nothing was heard of routes for longer than a route may be followed."""

    reason = "ROUTES_STALE"
