"""Errors about what is spent."""

from __future__ import annotations

from ragmesh.core.errors.tree import ExhaustedError


class BudgetSpentError(ExhaustedError):
    """The tenant's budget of this calendar month (UTC) is spent; what costs nothing still works."""

    reason = "BUDGET_SPENT"


class UsageSpoolFullError(ExhaustedError):
    """There is no room to note what a paid call costs, so none is made; retry after the delay."""

    reason = "USAGE_SPOOL_FULL"


class QuotaExceededError(ExhaustedError):
    """The tenant keeps as much as its quota allows; delete something, or have the quota raised."""

    reason = "QUOTA_EXCEEDED"
