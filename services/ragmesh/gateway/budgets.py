"""What tenants may spend in a calendar month, and what they have spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ragmesh.core.clock import Clock
from ragmesh.core.errors import BudgetSpentError
from ragmesh.core.tenants import Budget, BudgetAction
from ragmesh.core.usage import Record, Recorded, Spent, UsageBatch, UsageRecord
from ragmesh.gateway.ports import Records
from ragmesh.gateway.spool import GATEWAY

FRESH_SECONDS = 10.0
"""What is spent elsewhere, and may be, is looked up after this long, when a paid call comes."""
NO_BUDGET = Budget()


@dataclass(slots=True)
class Budgets:
    """Knows what is spent: what indexing says, and what is on its way there.

    Calls that are under way when a budget is spent go on to their end.
    """

    keeper: Records
    clock: Clock
    default: Budget = NO_BUDGET
    """Of tenants that have none of their own."""
    _told: Mapping[str, Spent] = field(default_factory=dict)
    _under_way: dict[str, float] = field(default_factory=dict)
    _month: datetime | None = None
    _fresh_until: float = 0.0

    def note(self, records: Sequence[Record]) -> None:
        """Something was spent."""
        for tenant_uid, dollars in _costs(records):
            self._under_way[tenant_uid] = self._under_way.get(tenant_uid, 0.0) + dollars

    def learn(self, recorded: Recorded, records: Sequence[Record]) -> None:
        """Indexing has counted these records in."""
        for tenant_uid, dollars in _costs(records):
            left = self._under_way.get(tenant_uid, 0.0) - dollars
            if left > 0:
                self._under_way[tenant_uid] = left
            else:  # also what a process before this one had put
                self._under_way.pop(tenant_uid, None)
        self._told = {one.tenant_uid: one for one in recorded.spent}
        self._month = _month_of(self.clock.now())
        self._fresh_until = self.clock.monotonic() + FRESH_SECONDS

    async def may_pay(self, tenant_uid: str) -> bool:
        """Whether the tenant may spend more; BudgetSpentError when it then gets nothing."""
        now = self.clock.now()
        month = _month_of(now)
        if month != self._month or self.clock.monotonic() >= self._fresh_until:
            self.learn(await self.keeper.record_usage(GATEWAY, UsageBatch()), ())
        budget = self._budget_of(tenant_uid)
        if not budget.monthly_dollars or self.spent(tenant_uid) < budget.monthly_dollars:
            return True
        if budget.on_exceeded is BudgetAction.DEGRADE:
            return False
        raise BudgetSpentError(
            f"the budget of {budget.monthly_dollars:g} dollars a month is spent",
            metadata={"monthly_dollars": f"{budget.monthly_dollars:g}"},
            # Whoever tries again by the second would only be refused by the second.
            retry_after_seconds=(_month_of(month + timedelta(days=32)) - now).total_seconds(),
        )

    def spent(self, tenant_uid: str) -> float:
        """US dollars of this month, as far as it is known here."""
        told = self._told.get(tenant_uid)
        counted = 0.0 if told is None else told.month_dollars
        return counted + self._under_way.get(tenant_uid, 0.0)

    def _budget_of(self, tenant_uid: str) -> Budget:
        told = self._told.get(tenant_uid)
        return told.budget if told is not None and told.budget.monthly_dollars else self.default


def _costs(records: Sequence[Record]) -> list[tuple[str, float]]:
    return [
        (record.call.tenant_uid, record.usage.cost_dollars)
        for record in records
        if isinstance(record, UsageRecord) and record.usage.cost_dollars
    ]


def _month_of(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1)
