"""Errors about API keys and what they may do, and about tenants."""

from __future__ import annotations

from ragmesh.core.errors.tree import (
    DeniedError,
)


class ScopeMissingError(DeniedError):
    """The key is good, but may not do this; the metadata names the scope that would."""

    reason = "SCOPE_MISSING"
